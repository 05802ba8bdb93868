//! Bodies as callers send them, and the JSON texts in them: objects of a form, and where they are not of it.

use std::{collections::BTreeMap, fmt, marker::PhantomData, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, Request},
    http::header::CONTENT_ENCODING,
};
use futures_util::StreamExt;
use onhand_domain::values::Object;
use onhand_infrastructure::unquoted_for_sender;
use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeOwned, MapAccess, Visitor},
};
use tokio::time::timeout;

use crate::problem::Problem;

/// How long a body may take to arrive.
const WITHIN: Duration = Duration::from_mins(1);
/// What is read of a body that nobody will look at.
const DISCARDED_MAX: usize = 1024 * 1024;

/// The body of a request as it is, once all of it is there.
pub async fn read_body<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    let coding = request.headers().get(CONTENT_ENCODING);
    if coding.is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        // No platform wraps its webhooks, and what is signed would be unclear.
        return Err(Problem::unsupported(
            "body.encoded",
            "send the body as it is, without a Content-Encoding",
        ));
    }
    read_within(WITHIN, request, state).await
}

/// Reads on to the end of a body that nobody will look at, for a moment: what comes next over the same line is another request, and
/// would be lost with the line if that were closed in the midst of this one.
pub(super) async fn discard(body: Body) {
    let mut parts = body.into_data_stream();
    let end = async {
        let mut left = DISCARDED_MAX;
        while let Some(Ok(part)) = parts.next().await
            && part.len() <= left
        {
            left -= part.len();
        }
    };
    let _ = timeout(Duration::from_secs(1), end).await;
}

async fn read_within<S: Send + Sync>(
    within: Duration,
    request: Request,
    state: &S,
) -> Result<Bytes, Problem> {
    match timeout(within, Bytes::from_request(request, state)).await {
        Ok(read) => Ok(read?),
        Err(_) => {
            Err(Problem::too_slow("body.too_slow", "the body did not arrive within a minute; send it again"))
        }
    }
}

/// What an object says, or in words what is wrong with the text and where.
pub fn object<T: DeserializeOwned>(text: &[u8]) -> Result<T, String> {
    serde_json::from_slice(text).map(|Object(it)| it).map_err(|error| located::<T>(text, &error))
}

/// Where the error is, by names. Only a text that does not fit is read twice for it.
fn located<T: DeserializeOwned>(text: &[u8], error: &serde_json::Error) -> String {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let again: Result<Object<T>, _> = serde_path_to_error::deserialize(&mut reader);
    match again {
        Err(located) if located.path().iter().next().is_some() => {
            format!("{}: {}", located.path(), unquoted_for_sender(located.inner()))
        }
        _ => unquoted_for_sender(error),
    }
}

/// A map in which each name stands once; for fields, as `deserialize_with`. Serde keeps the last of those that stand twice.
pub fn each_once<'de, D, V>(deserializer: D) -> Result<BTreeMap<String, V>, D::Error>
where
    D: Deserializer<'de>,
    V: Deserialize<'de>,
{
    struct Names<V>(PhantomData<V>);

    impl<'de, V: Deserialize<'de>> Visitor<'de> for Names<V> {
        type Value = BTreeMap<String, V>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut given: A) -> Result<Self::Value, A::Error> {
            let mut map = BTreeMap::new();
            while let Some(name) = given.next_key::<String>()? {
                if map.contains_key(&name) {
                    return Err(de::Error::custom(format_args!("duplicate field `{name}`")));
                }
                map.insert(name, given.next_value()?);
            }
            Ok(map)
        }
    }

    deserializer.deserialize_map(Names(PhantomData))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::{body::Body, http::StatusCode, response::IntoResponse};
    use futures_util::stream;

    use super::*;
    use crate::extract::Time;

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only what does not fit is looked at")]
    struct Order {
        lines: Vec<Object<Line>>,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only what does not fit is looked at")]
    struct Line {
        quantity: i64,
        at: Option<Time>,
    }

    #[tokio::test]
    async fn a_body_that_does_not_come_to_its_end_is_not_waited_for() {
        let body = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
        let problem = read_within(Duration::ZERO, Request::new(body), &()).await.expect_err("it never ends");
        assert_eq!(problem.into_response().status(), StatusCode::REQUEST_TIMEOUT);
    }

    #[test]
    fn what_does_not_fit_is_named_with_its_place() {
        let told = |text: &str| object::<Order>(text.as_bytes()).expect_err("it does not fit");
        assert!(told(r#"{"lines":[{"quantity":1},{"quantity":"2"}]}"#).starts_with("lines[1].quantity: "));
        assert!(told(r#"{"lines":[{"quantity":1},["2"]]}"#).starts_with("lines[1]: "));
        let time = told(r#"{"lines":[{"quantity":1,"at":"2026-01-02T03"}]}"#);
        assert!(time.contains("lines[0].at: ") && time.contains("expected a time such as"), "{time}");
        for text in ["", "[]", "5", r#"{"lines":[]} {}"#, r#"{"lines":[]"#] {
            assert!(!told(text).is_empty(), "{text}");
        }
    }
}
