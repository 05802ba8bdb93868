//! A Trackstar whose records are behind, or leave out what they are asked for.

use std::sync::{Mutex, MutexGuard};

use onhand_domain::{product::Words, values::Sku};

use super::*;
use crate::platforms::{
    outbound::{Offered, ProductAsk, VariantAsk},
    sandbox::{Happened, Parcel, Reply, Request, Shop},
};

/// The stand-in's words, apart from what is odd about them.
#[derive(Default)]
struct Odd(Mutex<Oddities>);

#[derive(Default)]
struct Oddities {
    /// How many coming reads are answered with what was read there before.
    behind: u32,
    read: BTreeMap<String, Reply>,
    /// The calls whose answers do not tell warehouses apart.
    vague: Vec<Method>,
    /// Whether writes are applied and said to have failed.
    broken: bool,
}

impl Odd {
    fn lock(&self) -> MutexGuard<'_, Oddities> {
        self.0.lock().expect("nobody panics with it")
    }
}

impl Wire for Odd {
    fn answer(&self, shop: &mut Shop, request: &Request) -> Reply {
        let mut odd = self.lock();
        let mut reply = sandbox::Trackstar.answer(shop, request);
        if odd.vague.contains(&request.method)
            && let Some(record) = reply.body.get_mut("data").and_then(Value::as_object_mut)
        {
            record.remove("inventory_by_warehouse_id");
        }
        if request.method != Method::GET {
            return if odd.broken { Reply::with_status(500, json!({ "error": "It broke" })) } else { reply };
        }
        if odd.behind > 0
            && let Some(before) = odd.read.get(&request.path).cloned()
        {
            odd.behind -= 1;
            return before;
        }
        odd.read.insert(request.path.clone(), reply.clone());
        reply
    }

    fn throttled(&self, after: Option<Duration>) -> Reply {
        sandbox::Trackstar.throttled(after)
    }

    fn tell(&self, shop: &Shop, happened: &Happened) -> Vec<Parcel> {
        sandbox::Trackstar.tell(shop, happened)
    }

    fn handle(&self, good: &Good) -> (String, String, Option<String>) {
        sandbox::Trackstar.handle(good)
    }
}

async fn open() -> (Place, &'static Odd) {
    let odd: &'static Odd = Box::leak(Box::<Odd>::default());
    (open_with(odd).await, odd)
}

#[tokio::test]
async fn from_a_record_that_is_behind_nothing_is_moved_again() {
    let (place, odd) = open().await;
    let set = async |key| place.set_one(place.in_warehouse(0), 4, Uuid::from_u128(key)).await;
    assert_eq!(set(1).await, Outcome::Shown(4));
    odd.lock().behind = 2;
    let outcome = set(2).await;
    assert!(has_failed(&outcome), "{outcome:?}");
    assert_eq!((place.shows(), place.stand.calls().writes), (vec![4, 7, 9], 2), "5 less 1, once");
    assert_eq!(set(3).await, Outcome::Shown(4), "the record has come after");
    assert_eq!(place.stand.calls().writes, 2);
}

#[tokio::test]
async fn from_a_record_that_is_certainly_newer_it_is_moved_on() {
    let (place, odd) = open().await;
    let set = async |key| place.set_one(place.in_warehouse(0), 4, Uuid::from_u128(key)).await;
    assert_eq!(set(1).await, Outcome::Shown(4));
    place.clock.advance(TimeDelta::hours(1));
    place.stand.edit_quantity("PIER-40", 9);
    odd.lock().behind = 1;
    assert_eq!(set(2).await, Outcome::Shown(4));
    assert_eq!((place.shows(), place.stand.calls().writes), (vec![4, 7, 9], 3));
}

#[tokio::test]
async fn what_an_answer_does_not_say_is_looked_at() {
    let (place, odd) = open().await;
    odd.lock().vague = vec![Method::PUT];
    assert_eq!(place.set_one(place.in_cart(0), 1, KEY).await, Outcome::Shown(1));
    assert_eq!(place.set_one(place.in_warehouse(1), 12, KEY).await, Outcome::Shown(12));
    assert_eq!((place.shows(), place.stand.calls().writes), (vec![1, 12, 9], 2));
    odd.lock().vague = vec![Method::PUT, Method::GET];
    let outcome = place.set_one(place.in_cart(0), 3, KEY).await;
    assert!(has_failed(&outcome), "nobody says what is shown at the place: {outcome:?}");
    let outcome = place.set_one(place.in_warehouse(1), 3, KEY).await;
    assert!(is_never(&outcome), "{outcome:?}");
    assert_eq!(place.stand.calls().writes, 3);
}

/// A boot of some name.
fn boot(title: &str) -> ProductAsk {
    let sku = Sku::new("BOOT-41").expect("a SKU");
    let variant = VariantAsk { sku, attributes: BTreeMap::new(), price: None, there: None, was: None };
    let words = Words { title: title.to_owned(), ..Words::default() };
    ProductAsk { words, told: None, taken_off: false, variants: vec![variant] }
}

/// Whether it is tried again, and not before the lists are up to date.
fn is_patient(offered: &Result<Offered, CallError>) -> bool {
    let hour = Duration::from_mins(60);
    matches!(offered, Err(CallError::Again { after: Some(after), counts: true, .. }) if *after > hour)
}

#[tokio::test]
async fn what_no_list_shows_yet_is_made_once_whatever_it_is_called() {
    let (place, odd) = open().await;
    let offer = async |title| Trackstar.offer(&place.api, &boot(title), KEY).await;
    let made = offer("Harbour").await;
    assert!(made.is_ok(), "{made:?}");
    odd.lock().behind = 2;
    assert_eq!(offer("Harbour").await, made, "the same ids");
    odd.lock().behind = 1;
    let renamed = offer("Harbour low").await;
    assert!(is_patient(&renamed), "{renamed:?}");
    assert_eq!(offer("Harbour low").await, made, "the list has come after");
    assert_eq!(place.stand.goods().len(), 3 + 1);
}

#[tokio::test]
async fn what_may_have_been_made_is_looked_for_when_the_lists_are_up_to_date() {
    let (place, odd) = open().await;
    let offer = async || Trackstar.offer(&place.api, &boot("Harbour"), KEY).await;
    odd.lock().broken = true;
    let failed = offer().await;
    assert!(is_patient(&failed), "{failed:?}");
    odd.lock().broken = false;
    assert!(offer().await.is_ok());
    assert_eq!(place.stand.goods().len(), 3 + 1);
}

#[tokio::test]
async fn a_product_that_somebody_else_has_made_is_looked_for_when_the_lists_are_up_to_date() {
    let (place, odd) = open().await;
    let ask = boot("Harbour");
    let rehearsal = place.api.for_rehearsal();
    assert!(Trackstar.offer(&rehearsal, &ask, KEY).await.is_err(), "so far no list shows it");
    let body = json!({ "name": "Harbour", "sku": "BOOT-41" }).to_string();
    let theirs = send(&place.api, Method::POST, "/wms/products".to_owned(), body, KEY).await;
    assert!(theirs.is_ok(), "{theirs:?}");
    odd.lock().behind = 1;
    let refused = Trackstar.offer(&place.api, &ask, KEY).await;
    assert!(is_patient(&refused), "{refused:?}");
    assert!(Trackstar.offer(&place.api, &ask, KEY).await.is_ok());
    assert_eq!(place.stand.goods().len(), 3 + 1);
}

#[test]
fn a_record_is_newer_only_if_both_say_when() {
    let record = |dates: Value| {
        let mut record = json!({ "id": "1" });
        record.as_object_mut().expect("an object").extend(dates.as_object().expect("an object").clone());
        serde_json::from_value::<Record>(record).expect("a record")
    };
    let first = record(json!({ "trackstar_updated_date": "2026-03-01T10:00:00Z" }));
    let second = record(json!({ "trackstar_updated_date": "2026-03-01T10:00:01Z" }));
    let unsaid = record(json!({ "updated_date": null }));
    assert!(second.is_newer_than(&first));
    for (one, other) in [(&first, &first), (&first, &unsaid), (&unsaid, &first), (&unsaid, &unsaid)] {
        assert!(!one.is_newer_than(other));
    }
}
