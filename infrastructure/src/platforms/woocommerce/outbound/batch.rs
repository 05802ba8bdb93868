//! Listings gathered into calls: products that are sold as they are, and the variations of each product.
//!
//! The shop answers for each object of a batch, in its order and under its id. It is the id that is trusted.

use std::collections::BTreeMap;

use axum::http::{Method, StatusCode};
use futures_util::{StreamExt, stream};
use onhand_domain::values::ExternalId;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    super::super::outbound::{Api, CALLS_AT_ONCE, CallError, Handle},
    call,
    listing::Listing,
    understood,
};

/// The most listings that are changed in one call. The shop would take a hundred, but a save takes it about a tenth of a
/// second to a third, and it answers with whole products: more may neither end in time nor fit into an answer.
pub(super) const UPDATES_MAX: usize = 25;
/// The most listings that are read in one call, which is the most the shop shows on one page.
pub(super) const READS_MAX: usize = 100;
/// What is read of a listing. There is far more to one, and its description may be as long as a book.
const FIELDS: &str = "id,type,manage_stock,stock_quantity,regular_price";

/// Where a listing is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// The product whose variation it is; none for a product that is sold as it is.
    pub(super) parent: Option<i64>,
    pub(super) id: i64,
}

impl Place {
    /// Where a handle leads: webhooks and looks name a product without variations twice.
    ///
    /// The product has to be the variation's own. Some versions move a variation to the product it is called under.
    pub(super) fn of(handle: &Handle) -> Result<Self, CallError> {
        let Handle { product, variant, .. } = handle;
        let (Some(parent), Some(id)) = (number(product), number(variant)) else {
            let why = format!("{product} and {variant} are no ids of a product and a variation");
            return Err(CallError::never(why));
        };
        Ok(Self { parent: (parent != id).then_some(parent), id })
    }

    /// The product it belongs to, or is.
    pub(super) fn product(&self) -> i64 {
        self.parent.unwrap_or(self.id)
    }

    /// The ids by which webhooks and looks make it known.
    pub(super) fn handle(self) -> Handle {
        let variant = ExternalId::from(self.id.unsigned_abs());
        Handle { product: self.product().unsigned_abs().into(), inventory: Some(variant.clone()), variant }
    }
}

/// An id as the shop writes it. Others, `+7` and `007`, it would take for another listing's.
fn number(id: &ExternalId) -> Option<i64> {
    let number = id.as_str().parse::<i64>().ok().filter(|number| *number > 0)?;
    (number.to_string() == id.as_str()).then_some(number)
}

/// Listings that go into one call.
#[derive(Debug, Clone)]
pub(super) struct Batch {
    parent: Option<i64>,
    /// The place of each among all that was asked, and its id.
    members: Vec<(usize, i64)>,
}

#[derive(Deserialize)]
struct Updated {
    update: Vec<Listing>,
}

/// Makes a call for each batch of at most so many listings, a few at the same time. Answers for each place, in order.
pub(super) async fn each<F>(
    places: Vec<Result<Place, CallError>>,
    most: usize,
    call: impl Fn(Batch) -> F,
) -> Vec<Result<Listing, CallError>>
where
    F: Future<Output = Vec<Result<Listing, CallError>>>,
{
    let batches = gathered(&places, most);
    let calls: Vec<F> = batches.iter().cloned().map(call).collect();
    let answers: Vec<_> = stream::iter(calls).buffered(CALLS_AT_ONCE).collect().await;
    let unasked = |place: Result<Place, CallError>| Err(place.err().unwrap_or_else(unmentioned));
    let mut listings: Vec<Result<Listing, CallError>> = places.into_iter().map(unasked).collect();
    for (batch, answer) in batches.iter().zip(answers) {
        for ((at, _), listing) in batch.members.iter().zip(answer) {
            listings[*at] = listing;
        }
    }
    listings
}

fn gathered(places: &[Result<Place, CallError>], most: usize) -> Vec<Batch> {
    let mut by_parent: BTreeMap<Option<i64>, Vec<(usize, i64)>> = BTreeMap::new();
    for (at, place) in places.iter().enumerate() {
        if let Ok(Place { parent, id }) = place {
            by_parent.entry(*parent).or_default().push((at, *id));
        }
    }
    let mut batches = Vec::new();
    for (parent, members) in by_parent {
        let parts = members.chunks(most);
        batches.extend(parts.map(|members| Batch { parent, members: members.to_vec() }));
    }
    batches
}

fn unmentioned() -> CallError {
    CallError::failed("the shop's answer does not mention the listing")
}

impl Batch {
    /// Has the listings changed. `fields` are of all that was asked, in its order.
    pub(super) async fn update(self, api: &Api, fields: &[Value]) -> Vec<Result<Listing, CallError>> {
        let updated = self.updated(api, fields).await;
        self.paired(updated, unmentioned)
    }

    /// Has the listings shown. The shop passes over ids that it does not have.
    pub(super) async fn read(self, api: &Api) -> Vec<Result<Listing, CallError>> {
        let shown = self.shown(api).await;
        self.paired(shown, || CallError::never("the shop has no such listing"))
    }

    async fn updated(&self, api: &Api, fields: &[Value]) -> Result<Vec<Listing>, CallError> {
        let object = |(at, id): &(usize, i64)| {
            let mut object = fields[*at].clone();
            object["id"] = json!(id);
            object
        };
        let objects: Vec<Value> = self.members.iter().map(object).collect();
        let body = json!({ "update": objects });
        let call = call(api, Method::POST, &format!("{}/batch", self.path()), Some(&body))?;
        Ok(understood::<Updated>(&api.write(call).await?)?.update)
    }

    async fn shown(&self, api: &Api) -> Result<Vec<Listing>, CallError> {
        let ids: Vec<String> = self.members.iter().map(|(_, id)| id.to_string()).collect();
        let asked = format!("include={}&per_page={READS_MAX}&_fields={FIELDS}", ids.join(","));
        let call = call(api, Method::GET, &format!("{}?{asked}", self.path()), None)?;
        let answer = api.read(call).await?;
        let shown = understood(&answer);
        // Of a product that is not there no variation is.
        if answer.status == StatusCode::NOT_FOUND { shown } else { shown.map_err(CallError::of_none) }
    }

    fn path(&self) -> String {
        match self.parent {
            None => "products".to_owned(),
            Some(parent) => format!("products/{parent}/variations"),
        }
    }

    /// What was answered to each member. Of two objects with one id the last says how it was left.
    fn paired(
        &self,
        answer: Result<Vec<Listing>, CallError>,
        absent: impl Fn() -> CallError,
    ) -> Vec<Result<Listing, CallError>> {
        let listings = match answer {
            Ok(listings) => listings,
            Err(error) => return vec![Err(error); self.members.len()],
        };
        let by_id = listings.into_iter().filter_map(|listing| Some((listing.id()?, listing)));
        let by_id: BTreeMap<i64, Listing> = by_id.collect();
        let of_it = |(_, id): &(usize, i64)| by_id.get(id).cloned().ok_or_else(&absent);
        self.members.iter().map(|member| of_it(member).and_then(Listing::granted)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_that_the_answer_passes_over_is_tried_again_and_is_nobody_elses() {
        let batch = Batch { parent: Some(7), members: vec![(0, 8), (1, 9)] };
        let answer = serde_json::from_value(json!([{ "id": 9, "stock_quantity": 4 }, { "id": 10 }]));
        let paired = batch.paired(Ok(answer.expect("listings")), unmentioned);
        assert_eq!(paired[0].as_ref().err(), Some(&unmentioned()));
        assert_eq!(paired[1].as_ref().ok().and_then(Listing::id), Some(9));
    }
}
