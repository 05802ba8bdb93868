//! Rehearsals of products: what would be offered, described and taken off.

use onhand_domain::values::Sku;
use serde::Serialize;
use uuid::Uuid;

use super::{KEY, Rehearsed, problem};
use crate::{
    platforms::outbound::{Api, CallError, Outbound, Outcome, Skills},
    queries::offers::{Due, OfferTarget},
};

/// One product that would be told of.
#[derive(Debug, Clone, Serialize)]
pub struct OfferView {
    /// Which.
    pub product_id: Uuid,
    /// As it is called here.
    pub title: String,
    /// `offer`, `describe` or `take_off`.
    pub what: &'static str,
    /// The seller's codes of the variants that would be made; of a product that is only described or taken off, none.
    pub skus: Vec<Sku>,
    /// Why the platform would not take it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// With what other rules `newly` let be done, only what comes of that; else all, as whoever asks for a push has all words said.
pub(super) async fn rehearse(
    rehearsed: &mut Rehearsed,
    outbound: &dyn Outbound,
    api: &Api,
    (products, newly): (&[OfferTarget], Option<Skills>),
) {
    for target in products {
        let (what, skus, error) = match target.due(newly.is_none(), false) {
            Due::Nothing => continue,
            // It was looked at for its words, which are in order. That it lacks something is not news.
            Due::Offer(_) if newly.is_some_and(|newly| !newly.offers) && !target.owes_words() => continue,
            Due::Offer(offering) => {
                let outcome = outbound.offer(api, &offering.ask, KEY).await;
                let new = offering.ask.variants.into_iter().filter(|variant| variant.there.is_none());
                ("offer", new.map(|variant| variant.sku).collect(), outcome.err())
            }
            Due::Never(why) => ("take_off", vec![], Some(CallError::never(why))),
            Due::Describe(ask) => ("describe", vec![], outbound.describe(api, &ask, KEY).await.err()),
            Due::TakeOff(listings) => {
                let handles: Vec<_> = listings.into_iter().map(|(_, handle)| handle).collect();
                ("take_off", vec![], outbound.take_off(api, &handles, KEY).await.err())
            }
        };
        rehearsed.products.push(OfferView {
            product_id: target.product.0,
            title: target.words.title.clone(),
            what,
            skus,
            problem: error.and_then(|error| problem(&Outcome::<()>::Failed(error))),
        });
    }
}
