//! A parameter that a path does not know is refused, rather than a question answered that nobody asked: by the document, so
//! that it holds for paths whose handlers read no parameters, too.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use axum::extract::{MatchedPath, Request};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::{ApiError, openapi};

type Names = HashMap<String, HashMap<String, HashSet<String>>>;

/// The parameters of each path and method.
static NAMES: LazyLock<Names> = LazyLock::new(|| {
    let paths = openapi::value()["paths"].as_object().into_iter().flatten();
    let of_path = |item: &serde_json::Value| {
        let methods = item.as_object().into_iter().flatten();
        let names = |operation: &serde_json::Value| {
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            let asked = parameters.filter(|parameter| parameter["in"] == "query");
            asked.filter_map(|parameter| Some(parameter["name"].as_str()?.to_owned())).collect()
        };
        methods.map(|(method, operation)| (method.to_uppercase(), names(operation))).collect()
    };
    paths.filter(|(path, _)| path.starts_with("/v1/")).map(|(path, item)| (path.clone(), of_path(item))).collect()
});

pub async fn parameters(request: Request, next: Next) -> Response {
    match unknown(&request) {
        Some(refusal) => refusal.into_response(),
        None => next.run(request).await,
    }
}

fn unknown(request: &Request) -> Option<ApiError> {
    let query = request.uri().query().filter(|query| !query.is_empty())?;
    let path = request.extensions().get::<MatchedPath>()?.as_str();
    let method = if request.method() == Method::HEAD { &Method::GET } else { request.method() };
    let names = NAMES.get(path)?.get(method.as_str())?;
    let given = query.split('&').filter_map(|pair| pair.split('=').next()).filter(|name| !name.is_empty());
    // What is escaped is left to whoever reads parameters.
    let mut strange = given.filter(|name| !name.contains(['%', '+']) && !names.contains(*name));
    let name = strange.next()?;
    Some(ApiError::BadRequest(match name {
        "format" => "`format`: this is no table, and comes as JSON only".into(),
        name if names.is_empty() => format!("`{name}` is not known: there are no parameters here"),
        name => {
            let mut known: Vec<&str> = names.iter().map(String::as_str).collect();
            known.sort_unstable();
            format!("`{name}` is not known; there are {}", known.join(", "))
        }
    }))
}
