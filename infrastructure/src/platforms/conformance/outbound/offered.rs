//! Whole products: offered, described and taken off, and what their own webhooks and looks tell of it.
//!
//! What is offered is there once, however often it is asked for; what is described tells the words that were answered,
//! or our own words would come back as somebody else's; what is taken off is not told as if it were there.

mod kept;
mod trouble;

use std::collections::{BTreeMap, BTreeSet};

use onhand_domain::{
    catalog::ObservedProduct,
    connection::Platform,
    product::{Word, Words},
    values::Sku,
};

use super::{
    ask,
    stand::{Stand, money, pushed},
    stranger,
    told::Listener,
};
use crate::platforms::{
    fact::Fact,
    outbound::{CallError, Handle, Offered, Outcome, ProductAsk, Skills, VariantAsk, outbound_of},
};

/// SKUs that mean something else to whoever does not take them as they are.
const ODD_SKUS: [&str; 9] = [
    "RUN,41",
    "RUN 41",
    "RUN \"41\"",
    "RUN'41",
    "RUN\\41",
    "RUN/../41?x=1&y=2#z",
    "sku:RUN OR sku:KELP",
    "RUN*",
    "rün+41%2C",
];

/// The platforms that can do something with whole products.
pub(super) fn able(can: fn(Skills) -> bool) -> Vec<Platform> {
    let skilled = |platform: &Platform| outbound_of(*platform).is_some_and(|it| can(it.skills()));
    pushed().filter(skilled).collect()
}

/// Whether each variant is an item of its own there, with a name of its own.
fn sells_items(platform: Platform) -> bool {
    platform.sells_variants_alone()
}

/// Whether what a merchant has put there is in a cart, and what is offered in a warehouse, which has other ids of the same.
fn is_elsewhere(platform: Platform) -> bool {
    platform == Platform::Trackstar
}

pub(super) fn words(title: &str) -> Words {
    Words {
        title: title.to_owned(),
        vendor: Some("Quay".to_owned()),
        category: Some("Shoes".to_owned()),
        tags: BTreeSet::from(["low".to_owned(), "sand".to_owned()]),
    }
}

/// A variant as it is to be there; without a size, it is all there is of its product.
pub(super) fn variant(stand: &Stand, sku: &str, size: Option<&str>, minor: i64) -> VariantAsk {
    VariantAsk {
        sku: Sku::new(sku).expect("a SKU"),
        attributes: size.map(|size| ("size".to_owned(), size.to_owned())).into_iter().collect(),
        price: stand.takes_prices().then(|| money(minor)),
        there: None,
        was: None,
    }
}

/// A runner in some sizes, each at a price of its own.
pub(super) fn runner(stand: &Stand, sizes: &[&str]) -> ProductAsk {
    let sized = |(size, minor): (&&str, i64)| variant(stand, &format!("RUN-{size}"), Some(size), minor);
    ProductAsk {
        words: words("Runner"),
        told: None,
        taken_off: false,
        variants: sizes.iter().zip(12_000..).map(sized).collect(),
    }
}

/// A product that is there, in these variants.
pub(super) fn of_handles(stand: &Stand, handles: &[Handle]) -> ProductAsk {
    let there = |(handle, number): (&Handle, usize)| VariantAsk {
        there: Some(handle.clone()),
        ..variant(stand, &format!("RUN-{number}"), Some(&number.to_string()), 12_000)
    };
    ProductAsk {
        words: words("Runner"),
        told: None,
        taken_off: false,
        variants: handles.iter().zip(41..).map(there).collect(),
    }
}

/// The same with the ids that were answered.
fn known(ask: &ProductAsk, offered: &Offered) -> ProductAsk {
    let there = |(variant, handle): (&VariantAsk, &Handle)| VariantAsk {
        there: Some(handle.clone()),
        ..variant.clone()
    };
    ProductAsk { variants: ask.variants.iter().zip(&offered.handles).map(there).collect(), ..ask.clone() }
}

async fn offered(stand: &Stand, ask: &ProductAsk, key: u128) -> Offered {
    let offered = stand.offer(ask, key).await;
    offered.unwrap_or_else(|error| panic!("{}: {ask:?}: {error}", stand.platform))
}

/// Each variant is there under the ids that were answered, and in one product where there are any.
fn assert_there(stand: &Stand, ask: &ProductAsk, offered: &Offered) {
    let (platform, goods) = (stand.platform, stand.goods());
    assert_eq!(offered.handles.len(), ask.variants.len(), "{platform}: {offered:?}");
    for (variant, handle) in ask.variants.iter().zip(&offered.handles) {
        let sku = variant.sku.as_str();
        let there: Vec<_> = goods.iter().filter(|(_, it)| it == sku).map(|(handle, _)| handle).collect();
        assert_eq!(there, [handle], "{platform}: {sku} is there once");
    }
    let products: BTreeSet<_> = offered.handles.iter().map(|handle| &handle.product).collect();
    assert!(products.len() == 1 || sells_items(platform), "{platform}: {products:?}");
}

/// What the facts show of products.
fn products(told: &[Fact]) -> Vec<&ObservedProduct> {
    let products = told.iter().filter_map(|fact| match fact {
        Fact::Product(product) => Some(product),
        _ => None,
    });
    products.collect()
}

/// The product was told of, with these very variants, and in no other words than these.
fn assert_told(stand: &Stand, told: &[Fact], handles: &[Handle], words: &Words) {
    let (platform, products) = (stand.platform, products(told));
    for handle in handles {
        let told = products.iter().any(|product| {
            product.external == handle.product
                && product.variants.iter().any(|variant| variant.external == handle.variant)
        });
        assert!(told, "{platform}: {handle:?}: {products:?}");
    }
    // A look at all that has changed lately tells of others, too.
    let of_it = |product: &&ObservedProduct| handles.iter().any(|handle| handle.product == product.external);
    for product in products.into_iter().filter(of_it) {
        let told = product.details.words();
        assert!(told == *words || told.title.is_empty() || sells_items(platform), "{platform}: {told:?}");
    }
}

#[tokio::test]
async fn what_is_offered_is_there_with_its_prices_and_nothing_for_sale() {
    for platform in able(|it| it.offers) {
        let stand = Stand::bare(platform).await;
        let runner = runner(&stand, &["41", "42"]);
        let walker = ProductAsk {
            words: words("WALKER"),
            told: None,
            taken_off: false,
            variants: vec![variant(&stand, "WALKER", None, 8_950)],
        };
        let mut handles = vec![];
        for (key, ask) in (1..).zip([&runner, &walker]) {
            let offered = offered(&stand, ask, key).await;
            assert_there(&stand, ask, &offered);
            handles.extend(offered.handles);
        }
        let shown = stand.all_shown();
        assert_eq!(shown.len(), 3, "{platform}: {shown:?}");
        for (sku, price) in [("RUN-41", 12_000), ("RUN-42", 12_001), ("WALKER", 8_950)] {
            assert_eq!(shown[sku].0, 0, "{platform}: {sku}");
            assert!(shown[sku].1 == price || !stand.takes_prices(), "{platform}: {sku}: {shown:?}");
        }
        let asks: Vec<_> = handles.iter().zip(7..).map(|(handle, quantity)| ask(handle, quantity)).collect();
        assert_eq!(stand.set(&asks, 9).await, [7, 8, 9].map(Outcome::Shown), "{platform}");
    }
}

#[tokio::test]
async fn what_is_offered_again_is_found_and_not_doubled() {
    for platform in able(|it| it.offers) {
        let stand = Stand::bare(platform).await;
        let ask = runner(&stand, &["41", "42"]);
        let first = offered(&stand, &ask, 1).await;
        for (key, ask) in [(1, &ask), (2, &ask), (3, &known(&ask, &first))] {
            let again = offered(&stand, ask, key).await;
            assert_eq!(again, first, "{platform}: key {key}");
            assert_eq!(stand.goods().len(), 2, "{platform}: key {key}");
        }
    }
}

#[tokio::test]
async fn what_a_merchant_has_put_there_is_found_by_its_sku_and_left_as_it_is() {
    for platform in able(|it| it.offers) {
        let stand = Stand::bare(platform).await;
        stand.seed("Corsa", &[("RUN-41", 9_900, 5), ("RUN-42", 9_900, 5)]);
        stand.seed("Other", &[("RUN-4", 9_900, 5)]);
        if is_elsewhere(platform) {
            continue;
        }
        let before = stand.all_shown();
        let ask = runner(&stand, &["42", "41"]);
        let offered = offered(&stand, &ask, 1).await;
        assert_there(&stand, &ask, &offered);
        assert_eq!(stand.all_shown(), before, "{platform}: neither prices nor quantities are touched");
        assert!(offered.words.title != "Runner" || sells_items(platform), "{platform}: {offered:?}");
    }
}

#[tokio::test]
async fn a_variant_more_joins_its_product() {
    for platform in able(|it| it.offers) {
        let stand = Stand::bare(platform).await;
        let first = offered(&stand, &runner(&stand, &["41"]), 1).await;
        let mut ask = runner(&stand, &["41", "42", "43"]);
        ask.variants[0].there = first.handles.first().cloned();
        let more = offered(&stand, &ask, 2).await;
        assert_eq!(more.handles[0], first.handles[0], "{platform}");
        assert_there(&stand, &ask, &more);
        if is_elsewhere(platform) {
            continue;
        }
        // A merchant's own product, of which two sizes are found.
        stand.seed("Kelp", &[("KELP-1", 5_000, 5), ("KELP-2", 5_000, 5)]);
        let kelp = ["1", "2", "3"].map(|size| variant(&stand, &format!("KELP-{size}"), Some(size), 5_000));
        let kelp = ProductAsk { words: words("Kelp"), told: None, taken_off: false, variants: kelp.to_vec() };
        let joined = offered(&stand, &kelp, 3).await;
        assert_there(&stand, &kelp, &joined);
        let shown = stand.all_shown();
        assert_eq!((shown["KELP-1"].0, shown["KELP-3"].0, shown.len()), (5, 0, 6), "{platform}");
    }
}

#[tokio::test]
async fn a_sku_is_taken_as_it_is() {
    for platform in able(|it| it.offers) {
        let stand = Stand::bare(platform).await;
        stand.seed("Runner", &[("RUN-41", 12_000, 5)]);
        for (sku, key) in ODD_SKUS.iter().chain(&["RUN-4"]).zip((1..).step_by(2)) {
            let ask = ProductAsk {
                words: words(sku),
                told: None,
                taken_off: false,
                variants: vec![variant(&stand, sku, None, 5_000)],
            };
            let first = offered(&stand, &ask, key).await;
            assert_there(&stand, &ask, &first);
            let again = offered(&stand, &ask, key + 1).await;
            assert_eq!(again.handles, first.handles, "{platform}: {sku}");
        }
        assert_eq!(stand.goods().len(), ODD_SKUS.len() + 2, "{platform}");
    }
}

#[tokio::test]
async fn what_is_offered_is_told_in_the_words_that_were_answered() {
    for platform in able(|it| it.offers) {
        let stand = Stand::bare(platform).await;
        let listener = Listener::open(&stand).await;
        let long = "é".repeat(500);
        for (key, title) in (1..).zip(["Runner", "Runner & Sons, \"low\"", long.as_str()]) {
            let mut ask = runner(&stand, &["41", "42"]);
            ask.words.title = title.to_owned();
            for variant in &mut ask.variants {
                variant.sku = Sku::new(&format!("{}-{key}", variant.sku)).expect("a SKU");
            }
            let offered = match stand.offer(&ask, key).await {
                Ok(offered) => offered,
                // Some platforms do not take what they cannot show, and others cut it.
                Err(CallError::Never { why }) if title == long && !why.is_empty() => continue,
                Err(error) => panic!("{platform}: {title}: {error}"),
            };
            assert_told(&stand, &listener.told().await, &offered.handles, &offered.words);
            let shows = offered.words.title == title || title == long || sells_items(platform);
            assert!(shows, "{platform}: {offered:?}");
        }
    }
}

#[tokio::test]
async fn what_is_described_is_told_in_the_words_that_were_answered() {
    for platform in able(|it| it.describes) {
        let stand = Stand::bare(platform).await;
        stand.seed("Runner", &[("RUN-41", 12_000, 5), ("RUN-42", 12_000, 5)]);
        let (handles, before, listener) = (stand.handles(), stand.all_shown(), Listener::open(&stand).await);
        let mut ask = of_handles(&stand, &handles);
        let others = Words {
            vendor: Some("Kite".to_owned()),
            category: Some("Boots".to_owned()),
            tags: BTreeSet::from(["high".to_owned()]),
            ..words("Runner, second of its name")
        };
        let fewer = Words { title: "Runner".to_owned(), ..Words::default() };
        for (key, words) in (1..).zip([words("Runner II"), others, fewer]) {
            ask.words = words;
            let said = stand.describe(&ask, key).await;
            let said = said.unwrap_or_else(|error| panic!("{platform}: {error}"));
            assert!(said.title == ask.words.title || sells_items(platform), "{platform}: {said:?}");
            assert_told(&stand, &listener.told().await, &handles, &said);
            assert_eq!(stand.describe(&ask, 10 + key).await, Ok(said), "{platform}");
            let told = listener.told().await;
            assert!(told.is_empty(), "{platform}: the same again is no news: {told:?}");
        }
        assert_eq!(stand.all_shown(), before, "{platform}: neither prices nor quantities are touched");
    }
}

#[tokio::test]
async fn those_of_our_words_are_taken_that_a_platform_says_it_can_be_told_and_no_others() {
    for platform in able(|it| it.describes).into_iter().filter(|platform| !sells_items(*platform)) {
        let stand = Stand::bare(platform).await;
        stand.seed("WALKER", &[("WALKER", 8_950, 5)]);
        let mut ask = of_handles(&stand, &stand.handles());
        let others = Words {
            vendor: Some("Kite".to_owned()),
            category: Some("Boots".to_owned()),
            tags: BTreeSet::from(["high".to_owned()]),
            ..words("Walker")
        };
        let mut before = stand.describe(&ask, 1).await;
        for (key, word) in (2..).zip(Word::ALL) {
            ask.told = Some(ask.words.clone());
            ask.words.take(word, &others);
            let said = stand.describe(&ask, key).await;
            let (Ok(was), Ok(is)) = (&before, &said) else { panic!("{platform}: {before:?}, {said:?}") };
            let changed: Vec<Word> = Word::ALL.into_iter().filter(|word| !is.agree(*word, was)).collect();
            let told = stand.outbound.words().contains(&word);
            assert_eq!(changed, if told { vec![word] } else { vec![] }, "{platform}: {word:?}");
            before = said;
        }
    }
}

#[tokio::test]
async fn what_is_taken_off_is_off_and_may_be_taken_off_again() {
    for platform in able(|it| it.takes_off) {
        let stand = Stand::bare(platform).await;
        stand.seed("Runner", &[("RUN-41", 12_000, 5), ("RUN-42", 12_000, 5)]);
        stand.seed("WALKER", &[("WALKER", 8_950, 5)]);
        let (handles, listener) = (stand.handles(), Listener::open(&stand).await);
        let runner = &handles[..2];
        let walker: BTreeMap<_, _> = [("WALKER".to_owned(), (5, 8_950))].into();
        for key in [1, 1, 2] {
            assert_eq!(stand.take_off(runner, key).await, Ok(()), "{platform}");
            assert_eq!(stand.all_shown(), walker, "{platform}");
        }
        let told = listener.told().await;
        let shown = products(&told).into_iter().any(|it| it.external == runner[0].product);
        assert!(!shown, "{platform}: it is not told as if it were there: {told:?}");
        let strangers: Vec<_> = runner.iter().map(stranger).collect();
        assert_eq!(stand.take_off(&strangers, 3).await, Ok(()), "{platform}: what nobody knows is off");
        assert_eq!(stand.take_off(&[], 4).await, Ok(()), "{platform}");
        assert_eq!(stand.all_shown(), walker, "{platform}");
        let outcomes = stand.set(&[ask(&handles[2], 6)], 5).await;
        assert_eq!(outcomes, [Outcome::Shown(6)], "{platform}: the other is for sale");
    }
}

#[tokio::test]
async fn what_was_taken_off_can_be_offered_again() {
    for platform in able(|it| it.offers && it.takes_off) {
        let stand = Stand::bare(platform).await;
        let ask = runner(&stand, &["41", "42"]);
        let first = offered(&stand, &ask, 1).await;
        let ask = ProductAsk { taken_off: true, ..ask };
        for key in [2, 4] {
            assert_eq!(stand.take_off(&first.handles, key).await, Ok(()), "{platform}");
            assert!(stand.goods().is_empty(), "{platform}");
            let again = offered(&stand, &ask, key + 1).await;
            assert_there(&stand, &ask, &again);
            assert_eq!(stand.goods().len(), 2, "{platform}");
        }
    }
}

#[tokio::test]
async fn what_was_taken_off_is_found_where_it_was_whatever_its_sku_is_by_now() {
    for platform in able(|it| it.offers && it.takes_off) {
        let stand = Stand::bare(platform).await;
        let ask = runner(&stand, &["41", "42"]);
        let first = offered(&stand, &ask, 1).await;
        let there = stand.goods();
        assert_eq!(stand.take_off(&first.handles, 2).await, Ok(()), "{platform}");
        let renamed = |(variant, was): (&VariantAsk, &Handle)| VariantAsk {
            sku: Sku::new(&format!("{}-W", variant.sku)).expect("a SKU"),
            was: Some(was.clone()),
            ..variant.clone()
        };
        let variants = ask.variants.iter().zip(&first.handles).map(renamed).collect();
        let ask = ProductAsk { taken_off: true, variants, ..ask };
        for key in [3, 4] {
            let again = offered(&stand, &ask, key).await;
            assert_eq!(again.handles, first.handles, "{platform}: key {key}");
            assert_eq!(
                stand.goods(),
                there,
                "{platform}: key {key}: it is there as it was, and nothing else"
            );
        }
        // Of what a merchant has deleted meanwhile nothing is left to be put back.
        while let Some((_, sku)) = stand.goods().first() {
            stand.remove(sku).await;
        }
        let anew = offered(&stand, &ask, 5).await;
        assert_there(&stand, &ask, &anew);
        assert_eq!(stand.goods().len(), 2, "{platform}");
    }
}

#[tokio::test]
async fn who_cannot_do_it_says_so_and_calls_nobody() {
    for platform in pushed() {
        let stand = Stand::bare(platform).await;
        let (skills, ask) = (stand.outbound.skills(), runner(&stand, &["41"]));
        let never = |error: Option<CallError>| matches!(error, Some(CallError::Never { .. }));
        assert!(skills.offers || never(stand.offer(&ask, 1).await.err()), "{platform}");
        assert!(skills.describes || never(stand.describe(&ask, 1).await.err()), "{platform}");
        assert!(skills.takes_off || never(stand.take_off(&[], 1).await.err()), "{platform}");
        if skills == Skills::default() {
            assert_eq!(stand.calls_made(), 0, "{platform}");
        }
        // To be in no product at all is nothing that could be described.
        if skills.describes {
            assert!(never(stand.describe(&ask, 2).await.err()), "{platform}: none of it is there");
        }
        assert!(stand.goods().is_empty(), "{platform}");
    }
}
