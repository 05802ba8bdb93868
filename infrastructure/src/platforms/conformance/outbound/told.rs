//! What stand-ins tell, heard and understood by the adapters; and what they show to whoever looks at it.
//!
//! A stand-in and its adapter share no code: where they understand each other, both have read the platform's pages in the
//! same way. (Shopify's stand-in is heard in the tests of its own, and where products are offered.)

use std::collections::BTreeSet;

use onhand_domain::{
    catalog::ObservedVariant,
    connection::Platform,
    values::{ExternalId, Quantity},
};

use super::{
    super::{OTHER, SECRET},
    bare::{Bare, Kept},
    stand::{Stand, money, pushed},
};
use crate::{
    platforms::{
        adapter::{Genuine, Hint, Inbound},
        adapter_of,
        fact::{Decoded, Fact, SoldLine},
        outbound::Handle,
        sandbox::Sandbox,
    },
    secrets::Secret,
};

/// How deep a hint may lead to another.
const DEPTH: usize = 3;

/// What may happen in a shop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Seeded,
    Counted,
    Priced,
    Ordered,
    Cancelled,
    Removed,
}

/// Whether it is told at all. Trackstar has no event for what is gone. (Shopee has none for products that are new and for
/// stock that is set; its stand-in makes do with those that are nearest.)
fn tells(platform: Platform, act: Act) -> bool {
    platform != Platform::Trackstar || act != Act::Removed
}

/// Whether a fact is of the sort that an act gives rise to.
fn fits(act: Act, fact: &Fact) -> bool {
    let hinted = match fact {
        Fact::Hint(hint) if hint.resource == "order" => matches!(act, Act::Ordered | Act::Cancelled),
        Fact::Hint(_) => !matches!(act, Act::Ordered | Act::Cancelled),
        _ => false,
    };
    hinted
        || match act {
            Act::Seeded | Act::Priced => matches!(fact, Fact::Product(_)),
            Act::Counted => {
                matches!(fact, Fact::StockObserved { .. } | Fact::StockAdjusted { .. } | Fact::Product(_))
            }
            Act::Ordered => matches!(fact, Fact::OrderPlaced { .. } | Fact::OrderPaid { .. }),
            Act::Cancelled => matches!(fact, Fact::OrderCancelled { .. }),
            Act::Removed => matches!(fact, Fact::ProductRemoved { .. }),
        }
}

/// Somebody who is told everything that happens in a shop.
pub(super) struct Listener<'s> {
    stand: &'s Stand,
    receiver: Bare,
    url: String,
}

impl<'s> Listener<'s> {
    pub(super) async fn open(stand: &'s Stand) -> Self {
        let receiver = Bare::open().await;
        let url = format!("{}/webhook", receiver.endpoint());
        stand.listen(&url);
        Self { stand, receiver, url }
    }

    /// What the webhooks say that were sent since this was asked last, and what there is to see of it.
    pub(super) async fn told(&self) -> Vec<Fact> {
        let heard = self.heard().await;
        let seen = self.seen(&heard).await;
        heard.into_iter().chain(seen).collect()
    }

    /// What the webhooks say that were sent since this was asked last.
    async fn heard(&self) -> Vec<Fact> {
        self.stand.webhooks_idle().await;
        self.receiver.take().iter().flat_map(|kept| self.understood(kept)).collect()
    }

    fn understood(&self, kept: &Kept) -> Vec<Fact> {
        let (platform, details, now) =
            (self.stand.platform, self.stand.api.details(), self.stand.clock.now());
        let (adapter, text) = (adapter_of(platform), String::from_utf8_lossy(&kept.body));
        let (secrets, others) = ([Secret::new(SECRET)], [Secret::new(OTHER)]);
        let (headers, body) = (&kept.headers, &kept.body[..]);
        let request = Inbound { headers, body, url: &self.url, now, details, secrets: &secrets };
        assert!(!adapter.is_greeting(&request), "{platform}: {text}");
        assert_eq!(adapter.verify(&request), Ok(()), "{platform}: {headers:?} {text}");
        let other = Inbound { secrets: &others, ..request };
        assert!(adapter.verify(&other).is_err(), "{platform}: {headers:?} {text}");
        let identity = adapter.identify(&request);
        let identity = identity.unwrap_or_else(|rejection| panic!("{platform}: {rejection}: {text}"));
        let at = identity.sent_at.unwrap_or(now);
        let delivery = Genuine { topic: &identity.topic, body, at, details };
        assert!(adapter.other_accounts(&delivery).is_empty(), "{platform}: {text}");
        match adapter.decode(&delivery) {
            Ok(Decoded::Facts(facts)) => facts,
            Ok(Decoded::UnknownTopic) => vec![],
            Err(wrong) => panic!("{platform} {}: {wrong}: {text}", identity.topic),
        }
    }

    /// What there is to see of all that was hinted at.
    async fn seen(&self, facts: &[Fact]) -> Vec<Fact> {
        let mut seen = vec![];
        let mut open = hints(facts);
        for _ in 0..DEPTH {
            for hint in std::mem::take(&mut open) {
                let found = self.look(&hint).await;
                open.append(&mut hints(&found));
                seen.extend(found);
            }
        }
        assert!(open.is_empty(), "{}: {open:?} lead on and on", self.stand.platform);
        seen
    }

    async fn look(&self, hint: &Hint) -> Vec<Fact> {
        let Stand { platform, api, .. } = self.stand;
        let adapter = adapter_of(*platform);
        let call = adapter.look(hint, &api.access());
        let call = call.unwrap_or_else(|| panic!("{platform}: {hint:?} cannot be looked at"));
        let answer = api.read(call).await;
        let answer = answer.unwrap_or_else(|error| panic!("{platform}: {hint:?}: {error}"));
        let seen = adapter.seen(hint, &answer.body, self.stand.clock.now(), api.details());
        let text = String::from_utf8_lossy(&answer.body);
        seen.unwrap_or_else(|wrong| panic!("{platform}: {hint:?}: {wrong}: {text}"))
    }
}

fn hints(facts: &[Fact]) -> BTreeSet<Hint> {
    let hint = |fact: &Fact| match fact {
        Fact::Hint(hint) => Some(hint.clone()),
        _ => None,
    };
    facts.iter().filter_map(hint).collect()
}

/// A few things that happen, one after the other; each is listened to before the next.
fn happens(sandbox: &Sandbox, act: Act, order: &mut Option<String>) {
    let done = match act {
        Act::Seeded => {
            sandbox.seed("Runner", &[("RUN-41", 12_000, 5), ("RUN-42", 12_500, 5)]);
            sandbox.seed("WALKER", &[("WALKER", 8_950, 5)]);
            true
        }
        Act::Counted => sandbox.edit_quantity("RUN-41", 9),
        Act::Priced => sandbox.edit_price("RUN-42", 13_375) && sandbox.edit_price("WALKER", 8_801),
        Act::Ordered => {
            *order = sandbox.buy(&[("RUN-41", 2), ("WALKER", 1)]);
            order.is_some()
        }
        Act::Cancelled => order.as_deref().is_some_and(|order| sandbox.cancel(order)),
        Act::Removed => {
            let good = sandbox.goods().into_iter().find(|good| good.sku == "WALKER");
            good.is_some_and(|good| sandbox.remove(&good.product))
        }
    };
    assert!(done, "{act:?}");
}

const ACTS: [Act; 6] = [Act::Seeded, Act::Counted, Act::Priced, Act::Ordered, Act::Cancelled, Act::Removed];

#[tokio::test]
async fn what_a_stand_in_tells_is_genuine_and_understood() {
    for platform in pushed() {
        let stand = Stand::bare(platform).await;
        let Some(sandbox) = stand.sandbox() else { continue };
        let listener = Listener::open(&stand).await;
        let mut order = None;
        for act in ACTS {
            happens(sandbox, act, &mut order);
            let heard = listener.heard().await;
            let told = heard.iter().any(|fact| fits(act, fact));
            assert!(told || !tells(platform, act), "{platform}: {act:?} is told: {heard:?}");
        }
        let calls = sandbox.calls();
        assert_eq!((calls.webhooks_given_up, calls.made), (0, 0), "{platform}");
    }
}

#[tokio::test]
async fn a_webhook_may_come_twice_and_is_the_same_then() {
    for platform in pushed() {
        let stand = Stand::bare(platform).await;
        let Some(sandbox) = stand.sandbox() else { continue };
        let listener = Listener::open(&stand).await;
        sandbox.seed("Runner", &[("RUN-41", 12_000, 5)]);
        sandbox.webhooks_idle().await;
        listener.receiver.take();
        stand.faults().duplicate_webhooks(1.0);
        assert!(sandbox.edit_price("RUN-41", 13_375), "{platform}");
        sandbox.webhooks_idle().await;
        let kept = listener.receiver.take();
        let (details, now) = (stand.api.details(), stand.clock.now());
        let identity = |kept: &Kept| {
            let (headers, body) = (&kept.headers, &kept.body[..]);
            let request = Inbound { headers, body, url: &listener.url, now, details, secrets: &[] };
            adapter_of(platform).identify(&request).map(|identity| identity.external_id)
        };
        let ids: BTreeSet<_> = kept.iter().map(|kept| identity(kept).expect("it is understood")).collect();
        assert!(!kept.is_empty() && ids.len() * 2 == kept.len(), "{platform}: {} {ids:?}", kept.len());
    }
}

/// What the facts say of the variant that has a SKU.
fn variants<'f>(facts: &'f [Fact], sku: &str) -> Vec<(&'f ExternalId, &'f ObservedVariant)> {
    let products = facts.iter().filter_map(|fact| match fact {
        Fact::Product(product) => Some(product),
        _ => None,
    });
    let all =
        products.flat_map(|product| product.variants.iter().map(move |variant| (&product.external, variant)));
    all.filter(|(_, variant)| variant.sku.as_ref().is_some_and(|it| it.as_str() == sku)).collect()
}

fn counts(fact: &Fact, handle: &Handle, units: i64) -> bool {
    let stock = handle.inventory.as_ref().unwrap_or(&handle.variant);
    matches!(fact, Fact::StockObserved { inventory, available, .. }
        if inventory == stock && *available == Some(units))
}

fn sold(fact: &Fact) -> Option<(&ExternalId, &[SoldLine])> {
    match fact {
        Fact::OrderPlaced { external, lines, .. } | Fact::OrderPaid { external, lines, .. } => {
            Some((external, lines.as_slice()))
        }
        _ => None,
    }
}

/// Everything that was told and seen of all that has happened names the goods, the figures and the order.
fn assert_complete(stand: &Stand, goods: &[(Handle, String)], facts: &[Fact]) {
    let platform = stand.platform;
    for ((handle, sku), price) in goods.iter().zip([12_000, 13_375, 8_801]) {
        let seen = variants(facts, sku);
        let Handle { product, variant, inventory } = handle;
        let known = |(of, it): &(&ExternalId, &ObservedVariant)| {
            *of == product && it.external == *variant && (inventory.is_none() || it.inventory == *inventory)
        };
        assert!(!seen.is_empty() && seen.iter().all(known), "{platform}: {handle:?} {sku}: {seen:?}");
        let price = Some(money(price));
        assert!(seen.iter().any(|(_, it)| it.price == price), "{platform}: {sku} at {price:?}: {seen:?}");
    }
    let [runner, _, walker] = goods else { panic!("{platform}: {goods:?}") };
    assert!(facts.iter().any(|fact| counts(fact, &runner.0, 9)), "{platform}: {facts:?}");
    let orders: Vec<_> = facts.iter().filter_map(sold).collect();
    assert!(!orders.is_empty(), "{platform}: {facts:?}");
    let (order, _) = orders[0];
    for (external, lines) in &orders {
        assert_eq!((*external, lines.len()), (order, 2), "{platform}: {lines:?}");
        for ((handle, sku), units) in [(runner, 2), (walker, 1)] {
            let units = Quantity::new(units).expect("a quantity");
            let of_it = |line: &&SoldLine| line.external_variant.as_ref() == Some(&handle.variant);
            let line = lines.iter().find(of_it);
            assert!(line.is_some_and(|line| line.quantity == units), "{platform}: {sku}: {lines:?}");
        }
    }
    let cancelled = |fact: &Fact| matches!(fact, Fact::OrderCancelled { external, .. } if external == order);
    assert!(facts.iter().any(cancelled), "{platform}: {order} was cancelled: {facts:?}");
    let removed =
        |fact: &Fact| matches!(fact, Fact::ProductRemoved { external } if *external == walker.0.product);
    let told = facts.iter().any(removed);
    assert!(told || !tells(platform, Act::Removed), "{platform}: {walker:?} was removed: {facts:?}");
}

#[tokio::test]
async fn what_is_hinted_at_is_shown_to_whoever_looks() {
    for platform in pushed() {
        let stand = Stand::bare(platform).await;
        let Some(sandbox) = stand.sandbox() else { continue };
        let listener = Listener::open(&stand).await;
        let (mut order, mut goods, mut facts) = (None, vec![], vec![]);
        for act in ACTS {
            happens(sandbox, act, &mut order);
            if act == Act::Seeded {
                goods = stand.goods();
            }
            facts.extend(listener.told().await);
        }
        assert_complete(&stand, &goods, &facts);
    }
}
