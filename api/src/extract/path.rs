//! The parts of a path, parsed; what does not parse is a problem like any other.

use axum::{extract::FromRequestParts, http::request::Parts};
use onhand_domain::key::Role;
use serde::de::DeserializeOwned;

use super::bearer::authorised;
use crate::{App, problem::Problem};

/// `{id}` and the like, for whoever has a key: others are told of that, and not of what is wrong with the path.
pub struct Path<T>(pub T);

/// The same where no key is asked for.
pub struct OpenPath<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<App> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        match OpenPath::<T>::from_request_parts(parts, app).await {
            Ok(OpenPath(parsed)) => Ok(Self(parsed)),
            Err(problem) => {
                authorised(app, &parts.headers, Role::Viewer).await?;
                Err(problem)
            }
        }
    }
}

impl<T: DeserializeOwned + Send> FromRequestParts<App> for OpenPath<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let axum::extract::Path(parsed) = axum::extract::Path::from_request_parts(parts, app).await?;
        Ok(Self(parsed))
    }
}
