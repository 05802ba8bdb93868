//! What stays a merchant's own affair: what was taken off or deleted there, what is there at another price or at none of ours,
//! words that nobody has told.

use super::*;

#[tokio::test]
async fn what_somebody_else_has_taken_off_stays_off() {
    for platform in able(|it| it.offers && it.takes_off) {
        let stand = Stand::bare(platform).await;
        let ask = runner(&stand, &["41", "42"]);
        let first = offered(&stand, &ask, 1).await;
        assert_eq!(stand.take_off(&first.handles, 2).await, Ok(()), "{platform}");
        let left = stand.offer(&ask, 3).await;
        assert!(matches!(left, Ok(_) | Err(CallError::Never { .. })), "{platform}: {left:?}");
        assert!(stand.goods().is_empty(), "{platform}: neither brought back nor made again");
        let ours = ProductAsk { taken_off: true, ..ask };
        let again = offered(&stand, &ours, 4).await;
        assert_there(&stand, &ours, &again);
        assert_eq!(stand.goods().len(), 2, "{platform}");
    }
}

#[tokio::test]
async fn what_a_merchant_has_deleted_is_not_made_again() {
    for platform in able(|it| it.offers).into_iter().filter(|platform| !is_elsewhere(*platform)) {
        let stand = Stand::bare(platform).await;
        let ask = runner(&stand, &["41", "42"]);
        let first = offered(&stand, &ask, 1).await;
        stand.remove("RUN-41").await;
        let left = stand.goods();
        let mut ask = known(&ask, &first);
        for key in [2, 3] {
            let outcome = stand.offer(&ask, key).await;
            assert!(matches!(outcome, Ok(_) | Err(CallError::Never { .. })), "{platform}: {outcome:?}");
            let goods = stand.goods();
            assert!(goods.iter().all(|(_, sku)| sku != "RUN-41"), "{platform}: {goods:?}");
            assert!(goods == left || sells_items(platform), "{platform}: {goods:?}");
            // Next a size more is asked for, which has nothing to join.
            ask.variants.push(variant(&stand, "RUN-43", Some("43"), 12_000));
        }
    }
}

#[tokio::test]
async fn what_is_for_sale_twice_under_one_sku_is_taken_for_neither() {
    // Elsewhere a SKU is there once.
    for platform in [Platform::Shopify, Platform::Square, Platform::Clover] {
        let stand = Stand::bare(platform).await;
        for title in ["Runner", "Corsa"] {
            stand.seed(title, &[("RUN-41", 12_000, 5)]);
        }
        let before = stand.goods();
        let refused = stand.offer(&runner(&stand, &["41", "42"]), 1).await;
        let named = matches!(&refused, Err(CallError::Never { why }) if why.contains("RUN-41"));
        assert!(named, "{platform}: {refused:?}");
        assert_eq!(stand.goods(), before, "{platform}: nor is anything made");
    }
}

#[tokio::test]
async fn what_is_there_needs_no_price() {
    for platform in able(|it| it.offers) {
        let stand = Stand::bare(platform).await;
        let first = offered(&stand, &runner(&stand, &["41"]), 1).await;
        let mut ask = runner(&stand, &["41", "42"]);
        (ask.variants[0].there, ask.variants[0].price) = (first.handles.first().cloned(), None);
        let more = offered(&stand, &ask, 2).await;
        assert_there(&stand, &ask, &more);
        assert_eq!(stand.goods().len(), 2, "{platform}");
    }
}

#[tokio::test]
async fn of_what_describes_a_product_only_that_is_taken_away_which_was_told() {
    for platform in able(|it| it.describes) {
        let stand = Stand::bare(platform).await;
        stand.seed("WALKER", &[("WALKER", 8_950, 5)]);
        let mut ask = of_handles(&stand, &stand.handles());
        let describe = async |ask: &ProductAsk, key: u128| {
            let said = stand.describe(ask, key).await;
            said.unwrap_or_else(|error| panic!("{platform}: {error}"))
        };
        // As if a merchant had put it there in these words.
        let theirs = describe(&ask, 1).await;
        let bare = Words { title: "Walker II".to_owned(), ..Words::default() };
        for (key, told) in [(2, None), (3, Some(bare.clone()))] {
            (ask.words, ask.told) = (bare.clone(), told);
            let said = describe(&ask, key).await;
            assert_eq!(Words { title: theirs.title.clone(), ..said }, theirs, "{platform}");
        }
        let (ours, less) = (words("Walker II"), BTreeSet::from(["low".to_owned()]));
        (ask.told, ask.words) = (Some(ours.clone()), Words { tags: less.clone(), ..ours });
        let said = describe(&ask, 4).await;
        assert!(said.tags.is_subset(&less), "{platform}: what was told and is not said any more: {said:?}");
        assert_eq!(said.tags.is_empty(), theirs.tags.is_empty(), "{platform}: {said:?}");
    }
}
