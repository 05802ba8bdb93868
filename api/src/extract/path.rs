//! The parts of a path, parsed; what does not parse is a problem like any other.

use axum::{extract::FromRequestParts, http::request::Parts};
use serde::de::DeserializeOwned;

use crate::{App, problem::Problem};

/// `{id}` and the like.
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<App> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let axum::extract::Path(parsed) = axum::extract::Path::from_request_parts(parts, app).await?;
        Ok(Self(parsed))
    }
}
