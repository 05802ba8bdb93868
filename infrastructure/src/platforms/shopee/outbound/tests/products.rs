//! Items that are described and taken off, as those who sell see them afterwards.

use onhand_domain::{product::Words, values::Sku};

use super::{
    super::super::super::{
        adapter::{Adapter, Hint},
        fact::Fact,
        outbound::{ProductAsk, VariantAsk},
    },
    *,
};

impl Place {
    /// The product of goods, in other words.
    fn described(&self, goods: &[usize], title: &str) -> ProductAsk {
        let variant = |index: &usize| VariantAsk {
            sku: Sku::new(&self.goods[*index].sku).expect("a SKU"),
            attributes: [("size".to_owned(), self.goods[*index].size.clone())].into(),
            price: None,
            there: Some(self.handle(*index)),
            was: None,
        };
        let words = Words { title: title.into(), vendor: Some("Quay".into()), ..Words::default() };
        ProductAsk { words, told: None, taken_off: false, variants: goods.iter().map(variant).collect() }
    }

    async fn describe(&self, goods: &[usize], title: &str) -> Result<Words, CallError> {
        Shopee.describe(&self.api(), &self.described(goods, title), KEY).await
    }

    async fn take_off(&self, goods: &[usize]) -> Result<(), CallError> {
        let handles: Vec<Handle> = goods.iter().map(|index| self.handle(*index)).collect();
        Shopee.take_off(&self.api(), &handles, KEY).await
    }

    /// What looks tell of the item that a good is of, and whatever they lead to.
    async fn looked_at(&self, index: usize) -> Vec<Fact> {
        let api = self.api();
        let mut hint = Hint { resource: "product", external: id(&self.goods[index].product), titled: None };
        loop {
            let call = Shopee.look(&hint, &api.access()).expect("a call");
            let answer = api.read(call).await.expect("an answer");
            let facts = Shopee.seen(&hint, &answer.body, self.clock.now(), api.details()).expect("facts");
            match facts.first() {
                Some(Fact::Hint(next)) => hint = next.clone(),
                _ => return facts,
            }
        }
    }

    /// The words in which looks tell of it.
    async fn told(&self, index: usize) -> Words {
        match self.looked_at(index).await.first() {
            Some(Fact::Product(product)) => product.details.words(),
            other => panic!("{other:?}"),
        }
    }

    fn titles(&self) -> Vec<String> {
        self.stand.goods().into_iter().map(|good| good.title).collect()
    }
}

fn titled(title: &str) -> Words {
    Words { title: title.into(), ..Words::default() }
}

#[tokio::test]
async fn an_item_is_called_by_its_title_and_looks_tell_of_it_in_the_same_words() {
    let place = open().await;
    for (goods, title) in [(&[0, 1, 2][..], "Harbour Runner"), (&[3][..], "Deck Bag")] {
        assert_eq!(place.describe(goods, title).await, Ok(titled(title)));
        assert_eq!(place.told(goods[0]).await, titled(title));
    }
    assert_eq!(place.titles(), ["Harbour Runner", "Harbour Runner", "Harbour Runner", "Deck Bag"]);
    assert_eq!(place.stand.calls().writes, 2, "one for each item");
    let handles: Vec<Handle> = (0..4).map(|index| place.handle(index)).collect();
    assert!(
        Shopee.read(&place.api(), &handles).await.iter().all(Result::is_ok),
        "the ids are what they were"
    );
    assert_eq!(place.set(&[place.ask(0, 7), place.ask(3, 8)]).await, [Outcome::Shown(7), Outcome::Shown(8)]);
}

#[tokio::test]
async fn a_product_that_is_several_items_there_has_all_of_them_called_by_its_title() {
    let place = open().await;
    let told = place.describe(&[3, 0, 1, 2], "Harbour").await;
    assert_eq!((told, place.titles()), (Ok(titled("Harbour")), vec!["Harbour".to_owned(); 4]));
}

#[tokio::test]
async fn a_title_that_cannot_be_or_an_item_that_is_not_there_is_never_described() {
    let place = open().await;
    let refused = place.describe(&[0], &"x".repeat(121)).await;
    let why = "Shopee answers product.error_title_exceeds_max_length: the name is too long";
    assert_eq!(refused, Err(CallError::never(why)));
    let mut ask = place.described(&[0, 1], "Harbour");
    for variant in &mut ask.variants {
        variant.there = None;
    }
    let nothing = Shopee.describe(&place.api(), &ask, KEY).await;
    assert!(matches!(nothing, Err(CallError::Never { .. })), "{nothing:?}");
    assert!(place.stand.remove(&place.goods[3].product));
    let gone = place.describe(&[3], "Deck Bag").await;
    assert!(matches!(gone, Err(CallError::Never { .. })), "{gone:?}");
    assert_eq!(place.titles(), ["Runner"; 3]);
}

#[tokio::test]
async fn an_item_is_off_once_and_for_all_and_looks_do_not_bring_it_back() {
    let place = open().await;
    for _ in 0..2 {
        assert_eq!(place.take_off(&[0, 1, 2]).await, Ok(()));
        assert_eq!(place.titles(), ["BAG"]);
        let told = place.looked_at(0).await;
        assert!(told.is_empty(), "it is there for its seller alone: {told:?}");
    }
    assert!(matches!(place.looked_at(3).await[..], [Fact::Product(_), ..]));
    assert_eq!(place.take_off(&[]).await, Ok(()));
    assert_eq!(place.stand.calls().writes, 2);
}

#[tokio::test]
async fn what_is_not_there_is_off_and_keeps_nothing_else_on() {
    let place = open().await;
    assert!(place.stand.remove(&place.goods[3].product));
    assert_eq!(place.take_off(&[3]).await, Ok(()));
    assert_eq!(place.take_off(&[3, 0]).await, Ok(()));
    assert_eq!(place.titles(), Vec::<String>::new());
    let strange = Handle { product: id("gid"), ..place.handle(0) };
    let refused = Shopee.take_off(&place.api(), &[strange], KEY).await;
    assert!(matches!(refused, Err(CallError::Never { .. })), "{refused:?}");
}

#[tokio::test]
async fn an_item_that_is_refused_among_others_is_tried_again() {
    let place = open().await;
    place.stand.faults().refuse_items_rate(1.0);
    let refused = place.take_off(&[0, 3]).await;
    assert!(refused.as_ref().is_err_and(CallError::is_failure), "{refused:?}");
    place.stand.faults().clear();
    assert_eq!(place.take_off(&[0, 3]).await, Ok(()));
    assert!(place.titles().is_empty());
}

#[tokio::test]
async fn a_lost_answer_and_wrong_credentials_say_what_is_to_be_done() {
    let place = open().await;
    place.stand.faults().drop_after_applying_rate(1.0);
    let lost = (place.describe(&[0], "Harbour").await, place.take_off(&[3]).await);
    assert!(matches!(&lost, (Err(one), Err(other)) if one.is_failure() && other.is_failure()), "{lost:?}");
    place.stand.faults().clear();
    assert_eq!(place.describe(&[0], "Harbour").await, Ok(titled("Harbour")));
    assert_eq!(place.take_off(&[3]).await, Ok(()));
    let mut account = place.account();
    account.access_token = Some(Secret::new("wrong-secret"));
    let api = place.api_of(account);
    let refused = Shopee.describe(&api, &place.described(&[0], "Pier"), KEY).await;
    assert!(matches!(refused, Err(CallError::NeedsPerson { .. })), "{refused:?}");
    let refused = Shopee.take_off(&api, &[place.handle(0)], KEY).await;
    assert!(matches!(refused, Err(CallError::NeedsPerson { .. })), "{refused:?}");
    assert_eq!(place.titles(), ["Harbour"; 3]);
}

#[tokio::test]
async fn a_rehearsal_tells_what_would_be_described_and_taken_off() {
    let place = open().await;
    let api = place.api().for_rehearsal();
    assert!(Shopee.describe(&api, &place.described(&[0, 3], "Harbour"), KEY).await.is_err());
    assert!(Shopee.take_off(&api, &[place.handle(0), place.handle(3)], KEY).await.is_err());
    let bodies = api.rehearsed().into_iter().filter_map(|call| call.body);
    let bodies: Vec<Value> = bodies.map(|body| serde_json::from_str(&body).expect("JSON")).collect();
    assert_eq!((bodies.len(), place.stand.calls().made), (3, 0));
    assert_eq!(bodies[0]["item_name"], json!("Harbour"));
    assert_eq!(bodies[2]["item_list"][1]["unlist"], json!(true));
}
