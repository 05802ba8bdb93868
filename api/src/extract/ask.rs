//! A write: an editor or an admin, an optional `Idempotency-Key`, a JSON body.

use axum::{
    extract::{FromRequest, Request},
    http::HeaderMap,
};
use onhand_domain::key::Role;
use onhand_infrastructure::{ledger::Idempotency, operations::Caller};
use serde::{Deserialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use super::{
    bearer::{authorised, caller, needs},
    body::{discard, object, read_body},
};
use crate::{App, problem::Problem};

const KEY_BYTES_MAX: usize = 255;

/// What an editor asks for.
pub struct Ask<T> {
    /// Who asks.
    pub caller: Caller,
    /// For what.
    pub body: T,
}

/// What a viewer would like to know, where the question needs a body.
pub struct Query<T> {
    /// Who asks.
    pub caller: Caller,
    /// For what.
    pub body: T,
}

/// What an admin asks for.
pub struct AdminAsk<T> {
    /// Who asks.
    pub caller: Caller,
    /// For what.
    pub body: T,
}

/// What somebody asks for who may have to be an admin for it, or not.
pub struct JudgedAsk<T> {
    /// Who asks.
    pub caller: Caller,
    /// For what.
    pub body: T,
    role: Role,
}

impl<T: DeserializeOwned> JudgedAsk<T> {
    /// What is asked for, by somebody who may do what `role` may at least.
    pub async fn of(request: Request, app: &App, role: Role) -> Result<Self, Problem> {
        let (caller, role, body) = take(request, app, role).await?;
        Ok(Self { caller, body, role })
    }

    /// Refuses whoever may not do what `role` may.
    pub fn needs(&self, role: Role) -> Result<(), Problem> {
        needs(self.role, role)
    }
}

/// No body is needed.
#[derive(Debug, Default, Deserialize)]
pub struct Empty {}

impl<T: DeserializeOwned> FromRequest<App> for Ask<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let (caller, _, body) = take(request, app, Role::Editor).await?;
        Ok(Self { caller, body })
    }
}

impl<T: DeserializeOwned> FromRequest<App> for Query<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let (caller, _, body) = take(request, app, Role::Viewer).await?;
        Ok(Self { caller, body })
    }
}

impl<T: DeserializeOwned> FromRequest<App> for AdminAsk<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let (caller, _, body) = take(request, app, Role::Admin).await?;
        Ok(Self { caller, body })
    }
}

async fn take<T: DeserializeOwned>(
    request: Request,
    app: &App,
    role: Role,
) -> Result<(Caller, Role, T), Problem> {
    let (parts, body) = request.into_parts();
    let allowed = authorised(app, &parts.headers, role).await;
    let allowed = allowed.and_then(|bearer| Ok((bearer, idempotency_key(&parts.headers)?)));
    let (bearer, key) = match allowed {
        Ok(allowed) => allowed,
        Err(problem) => {
            discard(body).await;
            return Err(problem);
        }
    };
    let role = bearer.role;
    let mut caller = caller(&parts, bearer);
    let (method, path) = (parts.method.clone(), parts.uri.path().to_owned());
    let bytes = read_body(Request::from_parts(parts, body), app).await?;
    let actor = caller.context.actor.clone();
    caller.idempotency = key.map(|key| {
        let mut hash = Sha256::new();
        hash.update(format!("{method} {path}\n"));
        hash.update(&bytes);
        Idempotency::new(&actor, &key, hash.finalize().into())
    });
    let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
    let body = object(text)
        .map_err(|why| Problem::bad_request("body.invalid", format!("the body does not fit: {why}")))?;
    Ok((caller, role, body))
}

/// The draft standard has the key quoted; many callers send it bare. Two that differ would be one request under either.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.any(|other| other != value) {
        return Err(Problem::bad_request(
            "idempotency.key_invalid",
            "a request has one Idempotency-Key, not several that differ",
        ));
    }
    let key = value.to_str().unwrap_or_default().trim();
    let key = key.strip_prefix('"').and_then(|key| key.strip_suffix('"')).unwrap_or(key);
    if key.is_empty() || key.len() > KEY_BYTES_MAX || key.contains('\t') {
        return Err(Problem::bad_request(
            "idempotency.key_invalid",
            format!("an Idempotency-Key has 1 to {KEY_BYTES_MAX} printable ASCII characters"),
        ));
    }
    Ok(Some(key.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(values: &[&str]) -> Result<Option<String>, ()> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("idempotency-key", value.parse().expect("a header's value"));
        }
        idempotency_key(&headers).map_err(|_| ())
    }

    #[test]
    fn a_key_is_one_and_of_printable_characters() {
        assert_eq!(key(&[]), Ok(None));
        for same in [&["cart 1"][..], &["\"cart 1\""], &["cart 1", "cart 1"]] {
            assert_eq!(key(same), Ok(Some("cart 1".to_owned())), "{same:?}");
        }
        for wrong in [&[""][..], &["\"\""], &["cart\t1"], &["cart-1", "cart-2"]] {
            assert_eq!(key(wrong), Err(()), "{wrong:?}");
        }
    }
}
