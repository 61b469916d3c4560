//! The OpenAPI document: as it is kept, and true to the routes.

use std::collections::BTreeSet;
use std::path::PathBuf;

use airwrite::api::openapi_document;
use serde_json::Value;

use crate::platform::Platform;

fn document() -> Value {
    serde_json::from_str(&openapi_document()).unwrap()
}

/// Every operation: path, method and what is said of it.
fn operations(document: &Value) -> Vec<(String, String, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    let all = paths.iter().flat_map(|(path, item)| {
        let item = item.as_object().unwrap();
        item.iter().map(move |(method, operation)| (path.clone(), method.clone(), operation))
    });
    all.collect()
}

#[test]
fn the_document_is_the_one_that_is_kept() {
    let file: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests/data/golden/openapi.json"].iter().collect();
    let made = openapi_document();
    if std::env::var_os("AIRWRITE_RENEW_GOLDEN").is_some() {
        std::fs::write(&file, &made).unwrap();
    }
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        kept == made,
        "the API says something else of itself than {}. Where that is meant, renew the file and look at what changed:\n\
         AIRWRITE_RENEW_GOLDEN=1 cargo test --test api document && git diff tests/data/golden/openapi.json",
        file.display()
    );
}

#[test]
fn every_reference_leads_somewhere_and_every_schema_is_used() {
    let document = document();
    let mut used = BTreeSet::new();
    let mut open = vec![&document];
    while let Some(value) = open.pop() {
        match value {
            Value::Object(members) => {
                if let Some(Value::String(reference)) = members.get("$ref") {
                    let pointer = reference.strip_prefix('#').unwrap();
                    assert!(document.pointer(pointer).is_some(), "{reference}");
                    used.insert(reference.rsplit('/').next().unwrap().to_owned());
                }
                open.extend(members.values());
            }
            Value::Array(items) => open.extend(items),
            _ => {}
        }
    }
    for name in document["components"]["schemas"].as_object().unwrap().keys() {
        assert!(used.contains(name), "{name} is used nowhere");
    }
}

#[test]
fn every_operation_says_what_it_needs_and_answers() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    let mut ids = BTreeSet::new();
    for (path, method, operation) in operations(&document) {
        let place = format!("{method} {path}");
        assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{place}: its id is another's");
        assert!(operation["summary"].is_string() && operation["tags"][0].is_string(), "{place}");
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.keys().any(|status| status.starts_with('2')), "{place}");
        for (status, response) in responses.iter().filter(|(status, _)| status.starts_with(['4', '5'])) {
            let problem = &response["content"]["application/problem+json"]["schema"]["$ref"];
            assert_eq!(problem, "#/components/schemas/Problem", "{place} {status}");
        }
        for name in path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
            let parameters = operation["parameters"].as_array().unwrap();
            assert!(parameters.iter().any(|p| p["name"] == name && p["in"] == "path"), "{place}: {name}");
        }
        if !path.starts_with("/v1/") {
            assert!(operation["security"].is_null(), "{place} needs no key");
            continue;
        }
        assert!(operation["security"][0]["key"][0].is_string(), "{place}: its scope");
        for status in ["400", "401", "403", "500", "503"] {
            assert!(responses.contains_key(status), "{place}: {status}");
        }
        if operation.get("requestBody").is_some() {
            for status in ["408", "413", "415"] {
                assert!(responses.contains_key(status), "{place}: {status}");
            }
        }
    }
    assert!(ids.len() > 30, "{ids:?}");
}

#[tokio::test]
async fn the_document_and_its_page_are_served_and_need_nothing_else() {
    let platform = Platform::start().await;
    let get = async |path: &str| {
        let response = reqwest::get(format!("{}{path}", platform.base)).await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        let content_type = response.headers()["content-type"].to_str().unwrap().to_owned();
        (content_type, response.text().await.unwrap())
    };
    assert_eq!(get("/openapi.json").await, ("application/json".to_owned(), openapi_document()));
    for (path, content_type) in
        [("/docs", "text/html"), ("/docs/docs.js", "text/javascript"), ("/docs/docs.css", "text/css")]
    {
        let (found, text) = get(path).await;
        assert!(found.starts_with(content_type), "{path}: {found}");
        assert!(text.len() > 500, "{path}");
        for elsewhere in ["http:", "https:", "//cdn", "@import", "url("] {
            assert!(!text.contains(elsewhere), "{path} takes something from elsewhere: {elsewhere}");
        }
    }
}
