//! Products that are described and switched off, as looks tell of them afterwards.

use onhand_domain::{product::Words, values::Sku};

use super::{
    super::super::super::{
        adapter::{Adapter, Hint},
        fact::Fact,
        outbound::{ProductAsk, VariantAsk},
    },
    *,
};

fn titled(title: &str) -> Words {
    Words { title: title.into(), ..Words::default() }
}

fn described(goods: &[Good], title: &str) -> ProductAsk {
    let variant = |good: &Good| VariantAsk {
        sku: Sku::new(&good.sku).expect("a SKU"),
        attributes: [("size".to_owned(), good.size.clone())].into(),
        price: Some(money("90.00")),
        there: Some(handle(good)),
        was: None,
    };
    let words = Words { vendor: Some("Quay".into()), category: Some("Shoes".into()), ..titled(title) };
    ProductAsk { words, told: None, taken_off: false, variants: goods.iter().map(variant).collect() }
}

impl Place {
    async fn describe(&self, title: &str) -> Result<Words, CallError> {
        TiktokShop.describe(&self.api, &described(&self.goods, title), KEY).await
    }

    async fn take_off(&self, goods: &[Good]) -> Result<(), CallError> {
        let handles: Vec<Handle> = goods.iter().map(handle).collect();
        TiktokShop.take_off(&self.api, &handles, KEY).await
    }

    /// What a look tells of a product after a notice about it.
    async fn looked_at(&self, product: &str) -> Vec<Fact> {
        let hint = Hint { resource: "product", external: id(product), titled: None };
        let call = TiktokShop.look(&hint, &self.api.access()).expect("a call");
        let answer = self.api.read(call).await.expect("an answer");
        let at = self.api.access().now;
        TiktokShop.seen(&hint, &answer.body, at, self.api.details()).expect("facts")
    }

    fn titles(&self) -> Vec<String> {
        self.stand.goods().into_iter().map(|good| good.title).collect()
    }
}

#[tokio::test]
async fn a_product_is_called_by_its_title_and_a_look_tells_of_it_in_the_same_words() {
    let place = open().await;
    assert_eq!(place.describe("Harbour Runner").await, Ok(titled("Harbour Runner")));
    assert_eq!((place.titles(), place.stand.calls().writes), (vec!["Harbour Runner".to_owned(); 3], 1));
    let told = place.looked_at(&place.goods[0].product).await;
    let same =
        |fact: &Fact| matches!(fact, Fact::Product(it) if it.details.words() == titled("Harbour Runner"));
    assert!(told.iter().any(same), "{told:?}");
    assert_eq!(place.shown(), [(5, 9_000); 3], "nothing else has changed");
}

#[tokio::test]
async fn what_is_several_products_there_is_called_by_one_title() {
    let mut place = open().await;
    place.goods.extend(place.stand.seed("Mole", &[("MOLE-1", 100, 1)]));
    assert_eq!(place.describe("Harbour").await, Ok(titled("Harbour")));
    assert_eq!((place.titles(), place.stand.calls().writes), (vec!["Harbour".to_owned(); 4], 2));
}

#[tokio::test]
async fn a_title_that_cannot_be_or_a_product_that_is_not_there_is_never_described() {
    let place = open().await;
    let refused = place.describe(&"x".repeat(256)).await;
    let named = matches!(&refused, Err(CallError::Never { why }) if why.contains("`title`"));
    assert!(named, "{refused:?}");
    let mut ask = described(&place.goods, "Harbour");
    for variant in &mut ask.variants {
        variant.there = None;
    }
    let nothing = TiktokShop.describe(&place.api, &ask, KEY).await;
    assert!(matches!(nothing, Err(CallError::Never { .. })), "{nothing:?}");
    assert_eq!(place.titles(), ["Quay Runner"; 3]);
    assert!(place.stand.remove(&place.goods[0].product));
    let gone = place.describe("Harbour").await;
    assert!(matches!(gone, Err(CallError::Never { .. })), "{gone:?}");
}

#[tokio::test]
async fn a_product_is_switched_off_and_notices_do_not_bring_it_back() {
    let place = open().await;
    place.stand.seed("Mole", &[("MOLE-1", 100, 1)]);
    for _ in 0..2 {
        assert_eq!(place.take_off(&place.goods).await, Ok(()), "what is off already is off");
        assert_eq!(place.titles(), ["Mole"]);
        let told = place.looked_at(&place.goods[0].product).await;
        assert!(told.is_empty(), "it is there for its seller alone: {told:?}");
    }
    assert_eq!(place.take_off(&[]).await, Ok(()));
    assert_eq!(place.stand.calls().writes, 2);
}

#[tokio::test]
async fn what_is_not_there_is_off_and_keeps_nothing_else_on() {
    let place = open().await;
    let mole = place.stand.seed("Mole", &[("MOLE-1", 100, 1)]);
    assert!(place.stand.remove(&mole[0].product));
    let nobodys = Good { product: "404".into(), ..mole[0].clone() };
    let goods = [nobodys, mole[0].clone(), place.goods[0].clone()];
    assert_eq!(place.take_off(&goods).await, Ok(()));
    assert!(place.titles().is_empty());
    let strange = Handle { product: id("../../order"), ..handle(&place.goods[0]) };
    let refused = TiktokShop.take_off(&place.api, &[strange], KEY).await;
    assert!(matches!(refused, Err(CallError::Never { .. })), "{refused:?}");
}

#[tokio::test]
async fn more_products_than_one_call_takes_are_switched_off_in_several() {
    let place = open().await;
    let mut goods = vec![];
    for number in 0..21 {
        let sku = format!("MOLE-{number}");
        goods.extend(place.stand.seed("Mole", &[(sku.as_str(), 100, 1)]));
    }
    assert_eq!(place.take_off(&goods).await, Ok(()));
    assert_eq!((place.titles(), place.stand.calls().writes), (vec!["Quay Runner".to_owned(); 3], 2));
}

#[tokio::test]
async fn a_lost_answer_and_wrong_credentials_say_what_is_to_be_done() {
    let place = open().await;
    place.stand.faults().drop_after_applying_rate(1.0);
    let lost = (place.describe("Harbour").await, place.take_off(&place.goods).await);
    assert!(matches!(&lost, (Err(one), Err(other)) if one.is_failure() && other.is_failure()), "{lost:?}");
    place.stand.faults().clear();
    assert_eq!(place.take_off(&place.goods).await, Ok(()), "it was, and nobody heard");
    let wrong = api(&place.stand, Clock::default(), |account| account.access_token = None);
    let refused = TiktokShop.describe(&wrong, &described(&place.goods, "Pier"), KEY).await;
    assert!(matches!(refused, Err(CallError::NeedsPerson { .. })), "{refused:?}");
    let refused = TiktokShop.take_off(&wrong, &[handle(&place.goods[0])], KEY).await;
    assert!(matches!(refused, Err(CallError::NeedsPerson { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_rehearsal_tells_what_would_be_described_and_switched_off() {
    let place = open().await;
    let rehearsal = place.api.for_rehearsal();
    assert!(TiktokShop.describe(&rehearsal, &described(&place.goods, "Harbour"), KEY).await.is_err());
    assert!(TiktokShop.take_off(&rehearsal, &[handle(&place.goods[0])], KEY).await.is_err());
    let calls = rehearsal.rehearsed();
    let product = &place.goods[0].product;
    let sent = |call: usize| -> Value {
        serde_json::from_str(calls[call].body.as_deref().expect("a body")).expect("JSON")
    };
    assert_eq!((calls.len(), place.stand.calls().made), (2, 0));
    assert!(calls[0].target.starts_with(&format!("/product/202309/products/{product}/partial_edit?")));
    assert_eq!((sent(0), sent(1)), (json!({ "title": "Harbour" }), json!({ "product_ids": [product] })));
}
