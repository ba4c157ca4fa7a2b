import java.sql.*;
import java.util.*;

/** The JDBC driver against a running server: PGHOST, PGPORT, PGUSER, PGPASSWORD say where. Two clients are in Lobby. */
public class Client {
    static void check(boolean holds, String what) {
        if (!holds) throw new AssertionError(what);
    }

    static List<String> column(ResultSet rows, String name) throws SQLException {
        List<String> found = new ArrayList<>();
        while (rows.next()) found.add(rows.getString(name));
        return found;
    }

    public static void main(String[] args) throws Exception {
        Map<String, String> env = System.getenv();
        String url = "jdbc:postgresql://" + env.get("PGHOST") + ":" + env.get("PGPORT") + "/footfall";
        try (Connection connection = DriverManager.getConnection(url, env.get("PGUSER"), env.get("PGPASSWORD"))) {
            // What DBeaver and Metabase read first.
            DatabaseMetaData told = connection.getMetaData();
            check(column(told.getSchemas(), "TABLE_SCHEM").contains("main"), "schemas");
            check(column(told.getTables(null, "main", "%", new String[] {"TABLE", "VIEW"}), "TABLE_NAME").contains("visits"), "tables");
            check(column(told.getColumns(null, "main", "visits", "%"), "COLUMN_NAME").contains("entered_at"), "columns");
            check(column(told.getPrimaryKeys(null, "main", "visits"), "COLUMN_NAME").isEmpty(), "keys");
            check(column(told.getIndexInfo(null, "main", "visits", false, false), "INDEX_NAME").isEmpty(), "indexes");
            check(column(told.getImportedKeys(null, "main", "visits"), "FK_NAME").isEmpty(), "foreign keys");
            check(column(told.getTablePrivileges(null, "main", "visits"), "PRIVILEGE").equals(List.of("SELECT")), "privileges");
            check(!told.getSQLKeywords().isEmpty() && column(told.getTypeInfo(), "TYPE_NAME").contains("timestamptz"), "types");
            String asked = "SELECT ?::int + 1 AS n, ? AS text, count(*) AS visits FROM visits WHERE entered_at > ? AND area_name = ?";
            try (PreparedStatement statement = connection.prepareStatement(asked)) {
                // From the sixth on the driver has it prepared, and takes binary.
                for (int round = 0; round < 10; round++) {
                    statement.setInt(1, round);
                    statement.setString(2, "it's " + round);
                    statement.setTimestamp(3, new Timestamp(0));
                    statement.setString(4, "Lobby");
                    ResultSet row = statement.executeQuery();
                    check(row.next() && row.getInt(1) == round + 1, "a number");
                    check(row.getString(2).equals("it's " + round) && row.getLong(3) == 2, "a text and a count");
                }
            }
            connection.setAutoCommit(false);
            try (Statement statement = connection.createStatement()) {
                statement.setFetchSize(100);
                check(column(statement.executeQuery("SELECT range AS n FROM range(1050)"), "n").size() == 1050, "portions");
            }
            connection.commit();
            connection.setAutoCommit(true);
            try (Statement statement = connection.createStatement()) {
                statement.executeUpdate("DELETE FROM visits");
                check(false, "it was deleted");
            } catch (SQLException refused) {
                check(refused.getSQLState().equals("25006"), refused.toString());
            }
            try (Statement statement = connection.createStatement()) {
                statement.setQueryTimeout(1);
                statement.executeQuery("SELECT count(*) FROM range(100000000) a, range(100000000) b");
                check(false, "it was not cancelled");
            } catch (SQLException cancelled) {
                check(cancelled.getSQLState().equals("57014"), cancelled.toString());
            }
            check(connection.isValid(1), "it goes on");
        }
    }
}
