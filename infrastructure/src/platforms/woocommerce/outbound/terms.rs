//! Tags and categories, which products have by their ids: found by name, or made.

use axum::http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    super::{
        super::{
            outbound::{Api, CallError},
            read,
        },
        entities::decoded,
    },
    batch::{READS_MAX, UPDATES_MAX},
    call, record,
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
            (None, None) => Err(unsaid()),
        }
    }
}

fn unsaid() -> CallError {
    CallError::failed("the shop's answer does not say what a name has become")
}

/// The ids of names, in order; what is not there is made.
pub(super) async fn named<'n>(
    api: &Api,
    terms: Terms,
    names: impl Iterator<Item = &'n str>,
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

/// The id of a category: of the only one of this name, wherever it stands below others; or else of a new one. The shop would
/// make a second one beside it, for to it names are the same only below the same category.
pub(super) async fn category(api: &Api, name: &str) -> Result<i64, CallError> {
    // The shop searches what it keeps, in which these signs are marks.
    let part = name.split(['&', '<', '>', '"', '\'']).max_by_key(|part| part.len()).unwrap_or_default();
    let path = format!(
        "products/categories?search={}&per_page={READS_MAX}&_fields=id,name",
        read::escaped(part.trim())
    );
    let found: Vec<record::Term> = understood(&api.read(call(api, Method::GET, &path, None)?).await?)?;
    let mut same = found.iter().filter(|term| term.id > 0 && decoded(&term.name) == name);
    if let (Some(only), None) = (same.next(), same.next()) {
        return Ok(only.id);
    }
    let made = named(api, Terms::Categories, std::iter::once(name)).await?;
    made.first().copied().ok_or_else(unsaid)
}

/// Ids as a product has them.
pub(super) fn ids(ids: &[i64]) -> Value {
    ids.iter().map(|id| json!({ "id": id })).collect()
}
