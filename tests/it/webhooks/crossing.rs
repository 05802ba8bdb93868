//! A shop's orders and its own figures cross on the way: what has moved there counts once, and an order is what it says by now.

use chrono::{DateTime, TimeDelta, Utc};
use onhand_tests::{
    World,
    shop::{self, Webhook},
};
use serde_json::{Value, json};

/// A shop whose figures count, and a product of four sizes.
struct Shop {
    world: World,
    connection: String,
    product: Value,
    /// When its clock began, which is past when these tests run.
    since: DateTime<Utc>,
}

impl Shop {
    async fn open() -> Self {
        let world = World::new().await;
        let connection = world.connect(None, json!({ "acceptInventory": true })).await;
        let sizes = [("41", "99.00"), ("42", "99.00"), ("43", "99.00"), ("44", "99.00")];
        let since = world.clock.now() - TimeDelta::minutes(5);
        let shop = Self { world, connection, product: shop::product("DUNK", &sizes), since };
        shop.tells("products/create", "p", &shop.product).await;
        for place in 0..sizes.len() {
            shop.shows(place, 10, 0).await;
        }
        shop
    }

    fn at(&self, second: i64) -> String {
        (self.since + TimeDelta::seconds(second)).to_rfc3339()
    }

    async fn tells(&self, topic: &str, id: &str, body: &Value) {
        Webhook::new(topic, id, body).send(&self.world.admin, &self.connection).await.expect(200);
    }

    async fn shows(&self, place: usize, available: i64, second: i64) {
        let level = json!({
            "inventory_item_id": self.product["variants"][place]["inventory_item_id"], "location_id": 7,
            "available": available, "updated_at": self.at(second),
        });
        self.tells("inventory_levels/update", &format!("level-{place}-{second}"), &level).await;
    }

    /// An order of the 5th second, as it is at another.
    fn order(&self, id: u64, lines: &[(usize, i64)], second: i64) -> Value {
        let mut order = shop::order(id, &self.product, lines);
        order["created_at"] = self.at(5).into();
        order["updated_at"] = self.at(second).into();
        order
    }

    fn cancelled(&self, mut order: Value) -> Value {
        order["cancelled_at"] = self.at(9).into();
        order
    }

    /// What is noted about payments.
    async fn notes(&self) -> String {
        self.world.project().await;
        let listed = self.world.admin.get("/api/deliveries?topic=orders/paid").await.expect(200);
        listed["data"].as_array().expect("rows").iter().map(|row| row["notes"].to_string()).collect()
    }
}

#[tokio::test]
async fn a_sale_and_its_cancellation_count_once_whether_the_figure_or_the_order_is_told_first() {
    let shop = Shop::open().await;
    let sizes = ["41", "42", "43", "44"].map(|size| format!("DUNK-{size}"));
    let cases =
        [("orders/paid", true), ("orders/paid", false), ("orders/create", true), ("orders/create", false)];
    for (place, (topic, figure_first)) in cases.into_iter().enumerate() {
        let id = place as u64 + 1;
        let order = shop.order(id, &[(place, 2)], 5);
        if figure_first {
            shop.shows(place, 8, 5).await;
            shop.tells(topic, &format!("o-{id}"), &order).await;
        } else {
            shop.tells(topic, &format!("o-{id}"), &order).await;
            shop.shows(place, 8, 5).await;
        }
        let expected = if topic == "orders/paid" { (8, 0, 8) } else { (10, 2, 8) };
        assert_eq!(shop.world.levels().await[&sizes[place]], expected, "{topic} {figure_first}");

        let cancelled = shop.cancelled(order);
        // The other way round this time.
        if figure_first {
            shop.tells("orders/cancelled", &format!("x-{id}"), &cancelled).await;
            shop.shows(place, 10, 9).await;
        } else {
            shop.shows(place, 10, 9).await;
            shop.tells("orders/cancelled", &format!("x-{id}"), &cancelled).await;
        }
        assert_eq!(shop.world.levels().await[&sizes[place]], (10, 0, 10), "{topic} {figure_first}");
    }
    shop.world.expect_intact().await;
    shop.world.expect_rebuilt_equals_live().await;
}

#[tokio::test]
async fn what_comes_back_to_a_shop_that_has_sold_too_much_is_nobodys_to_buy_whichever_is_told_first() {
    let shop = Shop::open().await;
    for (place, figure_first) in [(0, true), (1, false)] {
        let id = |order: u64| order * 10 + place as u64;
        let [one, other] = [(1, 7), (2, 2)].map(|(order, units)| shop.order(id(order), &[(place, units)], 5));
        shop.tells("orders/create", &format!("o-{}", id(1)), &one).await;
        shop.tells("orders/create", &format!("o-{}", id(2)), &other).await;
        // Three more were bought than the one that is left; of those orders nobody has told.
        shop.shows(place, -2, 6).await;
        let (figure, cancelled) = ((place, 0, 9), shop.cancelled(other));
        if figure_first {
            shop.shows(figure.0, figure.1, figure.2).await;
        }
        shop.tells("orders/cancelled", &format!("x-{}", id(2)), &cancelled).await;
        if !figure_first {
            shop.shows(figure.0, figure.1, figure.2).await;
        }
        let size = format!("DUNK-{}", 41 + place);
        assert_eq!(shop.world.levels().await[&size], (7, 7, 0), "figure first: {figure_first}");
    }
    shop.world.expect_intact().await;
    shop.world.expect_rebuilt_equals_live().await;
}

#[tokio::test]
async fn a_gift_wrap_keeps_nothing_that_was_taken_out_of_its_order_and_an_order_of_nothing_sells_nothing() {
    let shop = Shop::open().await;
    let wrapped = |mut order: Value| {
        let wrap = json!({ "id": 99, "variant_id": null, "sku": null, "quantity": 1, "title": "Gift wrap" });
        order["line_items"].as_array_mut().expect("lines").insert(1, wrap);
        order
    };
    // It is there from the beginning, or comes as the other goes.
    for (id, at_first) in [(1, true), (3, false)] {
        let order = shop.order(id, &[(0, 2), (1, 1)], 5);
        let order = if at_first { wrapped(order) } else { order };
        shop.tells("orders/create", &format!("c-{id}"), &order).await;
        let mut edited = wrapped(shop.order(id, &[(0, 2), (1, 1)], 8));
        edited["line_items"][0]["current_quantity"] = json!(0);
        shop.tells("orders/paid", &format!("p-{id}"), &edited).await;
    }
    let levels = shop.world.levels().await;
    assert_eq!((levels["DUNK-41"], levels["DUNK-42"]), ((10, 0, 10), (8, 0, 8)));

    shop.tells("orders/create", "o-3", &shop.order(2, &[(2, 2)], 5)).await;
    let mut emptied = shop.order(2, &[(2, 2)], 8);
    emptied["line_items"][0]["current_quantity"] = json!(0);
    shop.tells("orders/paid", "o-4", &emptied).await;
    assert_eq!(shop.world.levels().await["DUNK-43"], (10, 0, 10));
    shop.world.expect_rebuilt_equals_live().await;
}

#[tokio::test]
async fn an_order_that_was_edited_before_it_was_paid_sells_what_it_says_then_and_later_edits_are_noted() {
    let shop = Shop::open().await;
    shop.tells("orders/create", "o-1", &shop.order(1, &[(0, 1), (2, 4)], 5)).await;
    let mut edited = shop.order(1, &[(0, 3), (1, 1), (2, 4)], 8);
    edited["line_items"][2]["current_quantity"] = json!(0);
    shop.tells("orders/paid", "o-2", &edited).await;
    let levels = shop.world.levels().await;
    assert_eq!(
        (levels["DUNK-41"], levels["DUNK-42"], levels["DUNK-43"]),
        ((7, 0, 7), (9, 0, 9), (10, 0, 10))
    );
    let history = shop.world.history().await;
    assert_eq!(history.iter().filter(|name| *name == "order.edited").count(), 1, "{history:?}");
    assert!(!shop.notes().await.contains("by now"));

    shop.tells("orders/paid", "o-3", &shop.order(1, &[(0, 3), (1, 2)], 9)).await;
    assert!(shop.notes().await.contains("the order has 2 of"), "somebody has to see it");
    // What it was at first may be told last.
    shop.tells("orders/create", "o-4", &shop.order(1, &[(0, 1), (2, 4)], 5)).await;
    assert_eq!(shop.world.levels().await, levels);

    shop.tells("orders/cancelled", "x-1", &shop.cancelled(shop.order(1, &[], 9))).await;
    let levels = shop.world.levels().await;
    assert_eq!((levels["DUNK-41"], levels["DUNK-42"]), ((10, 0, 10), (10, 0, 10)));
    shop.world.expect_rebuilt_equals_live().await;
}
