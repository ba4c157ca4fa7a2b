-- Clients with what their ids tell.

CREATE VIEW store.clients_now AS
SELECT client_key, kind, client_id, name, first_seen_at,
    kind < 2 AND length(client_id) = 12 AND client_id[2] IN ('2', '6', 'a', 'e') AS is_randomised
FROM store.clients;
COMMENT ON VIEW store.clients_now IS 'Clients; is_randomised: the address is locally administered, so probably made up by the phone';
