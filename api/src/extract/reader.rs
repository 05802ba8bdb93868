//! A read: anybody with a key or a token, one page, optionally not older than a position.

use std::time::Duration;

use axum::{
    extract::{FromRequestParts, Query},
    http::request::Parts,
};
use onhand_domain::{key::Role, values::TenantId};
use onhand_infrastructure::{
    ledger::Moment,
    queries::{Window, checkpoints},
};
use serde::{Deserialize, de::DeserializeOwned};

use super::bearer::authorised;
use crate::{App, problem::Problem};

/// How long a read waits for the position it asks for.
const PATIENCE: Duration = Duration::from_secs(5);
const LIMIT: i64 = 50;

/// Who reads.
#[derive(Debug, Clone)]
pub struct Reader {
    /// Whose data.
    pub tenant: TenantId,
    /// The only brand it may see, if it is bound to one.
    pub brand: Option<String>,
}

impl FromRequestParts<App> for Reader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let reader = reader(parts, app).await?;
        let Query(Asked { at }) = Query::try_from_uri(&parts.uri)?;
        Now::of(at)?;
        Ok(reader)
    }
}

async fn reader(parts: &Parts, app: &App) -> Result<Reader, Problem> {
    let bearer = authorised(app, &parts.headers, Role::Viewer).await?;
    Ok(Reader { tenant: bearer.tenant, brand: bearer.brand })
}

/// Who reads which page of what, and of when.
pub struct Listing<F, W = Now> {
    /// The page.
    pub window: Window,
    /// What it is narrowed to.
    pub filter: F,
    min_position: Option<i64>,
    when: W,
}

/// Of which time a handler can tell.
pub trait When: Sized {
    /// What the caller said of it, if that is something the handler can tell.
    fn of(at: Option<String>) -> Result<Self, Problem>;
}

/// Of the present: whoever asks for the past is not to take this for it.
pub struct Now;

/// Of the present, or of the moment that is given.
pub struct AnyTime(Option<String>);

impl When for Now {
    fn of(at: Option<String>) -> Result<Self, Problem> {
        match at {
            None => Ok(Self),
            Some(_) => Err(Problem::bad_request(
                "at.unsupported",
                "what is asked for here is told as it is now, and not as it was; ask without `at`",
            )),
        }
    }
}

impl When for AnyTime {
    fn of(at: Option<String>) -> Result<Self, Problem> {
        Ok(Self(at))
    }
}

#[derive(Deserialize)]
struct Asked {
    at: Option<String>,
}

#[derive(Deserialize)]
struct Paging {
    cursor: Option<String>,
    limit: Option<i64>,
    min_position: Option<i64>,
    at: Option<String>,
}

impl<F: DeserializeOwned + Send, W: When> FromRequestParts<App> for Listing<F, W> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let Reader { tenant, brand } = reader(parts, app).await?;
        let Query(paging) = Query::<Paging>::try_from_uri(&parts.uri)?;
        let Query(filter) = Query::<F>::try_from_uri(&parts.uri)?;
        let limit = paging.limit.unwrap_or(LIMIT);
        Ok(Self {
            window: Window { tenant, brand, cursor: paging.cursor, limit },
            filter,
            min_position: paging.min_position,
            when: W::of(paging.at)?,
        })
    }
}

/// The position that a moment stands for, given as a position or a time.
pub async fn position_of(app: &App, tenant: TenantId, moment: &str) -> Result<i64, Problem> {
    let moment: Moment = moment.parse()?;
    let ledger = app.onhand.ledger();
    let mut conn = ledger.pool().acquire().await?;
    Ok(moment.position(&mut conn, tenant, ledger.clock().now()).await?)
}

impl<F, W> Listing<F, W> {
    /// Waits until the read model has reached the position asked for, if one was.
    pub async fn fresh(&self, app: &App, model: &'static str) -> Result<(), Problem> {
        match self.min_position {
            Some(wanted) => self.reached(app, model, wanted).await,
            None => Ok(()),
        }
    }

    /// Waits until a read model has reached a position.
    pub async fn reached(&self, app: &App, model: &'static str, wanted: i64) -> Result<(), Problem> {
        if checkpoints::reached(app.onhand.pool(), self.window.tenant, model, wanted, PATIENCE).await? {
            return Ok(());
        }
        Err(Problem::unavailable(
            "read.behind",
            format!("{model} has not reached position {wanted} yet; try again, or do not ask for a position"),
            1,
        ))
    }
}

impl<F> Listing<F, AnyTime> {
    /// The position at which the answer is to be true, if that is not now.
    pub async fn at(&self, app: &App) -> Result<Option<i64>, Problem> {
        match &self.when.0 {
            Some(moment) => Ok(Some(position_of(app, self.window.tenant, moment).await?)),
            None => Ok(None),
        }
    }
}
