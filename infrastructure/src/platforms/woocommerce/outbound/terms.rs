//! Tags and categories, which products have by their ids: found by name, or made.

use axum::http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    super::super::{
        outbound::{Api, CallError},
        read,
    },
    batch::UPDATES_MAX,
    call,
    refusal::Refusal,
    understood,
};

/// What sort of name.
#[derive(Debug, Clone, Copy)]
pub(super) enum Terms {
    Tags,
    Categories,
}

impl Terms {
    fn path(self) -> &'static str {
        match self {
            Self::Tags => "products/tags/batch",
            Self::Categories => "products/categories/batch",
        }
    }
}

#[derive(Deserialize)]
struct Made {
    create: Vec<Term>,
}

#[derive(Deserialize)]
struct Term {
    #[serde(default)]
    id: Value,
    error: Option<Refusal>,
}

impl Term {
    /// Its id. Of a name that is there already the shop says where, and makes no second one.
    fn id(&self) -> Result<i64, CallError> {
        let known = self.error.as_ref().map_or_else(|| read::whole(&self.id), Refusal::existing);
        match (known.filter(|id| *id > 0), &self.error) {
            (Some(id), _) => Ok(id),
            (None, Some(refusal)) => Err(refusal.meaning()),
            (None, None) => Err(CallError::failed("the shop's answer does not say what a name has become")),
        }
    }
}

/// The ids of names, in order; what is not there is made.
pub(super) async fn named<'n>(
    api: &Api,
    terms: Terms,
    names: impl Iterator<Item = &'n String>,
) -> Result<Vec<i64>, CallError> {
    let objects: Vec<Value> = names.map(|name| json!({ "name": name })).collect();
    let mut ids = Vec::with_capacity(objects.len());
    for objects in objects.chunks(UPDATES_MAX) {
        let body = json!({ "create": objects });
        let answer = api.write(call(api, Method::POST, terms.path(), Some(&body))?).await?;
        let made = understood::<Made>(&answer)?.create;
        if made.len() != objects.len() {
            return Err(CallError::failed("the shop's answer does not say what all names have become"));
        }
        for term in &made {
            ids.push(term.id()?);
        }
    }
    Ok(ids)
}

/// Ids as a product has them.
pub(super) fn ids(ids: &[i64]) -> Value {
    ids.iter().map(|id| json!({ "id": id })).collect()
}
