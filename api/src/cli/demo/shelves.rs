//! One variant in three places: what the ledger says of it, and what each shop shows.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    print::{Cell, Table},
    stage::{Shop, Stage},
};

/// What a shop shows of a variant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) available: i64,
    pub(super) price: String,
}

/// A variant in all three places.
pub(super) struct Shelf {
    pub(super) sku: String,
    pub(super) on_hand: i64,
    pub(super) reserved: i64,
    pub(super) available: i64,
    pub(super) price: String,
    /// By shop; none where it is not sold.
    pub(super) shown: [Option<Shown>; 2],
}

impl Shelf {
    /// Whether each shop that sells it shows what the ledger says.
    pub(super) fn agrees(&self) -> bool {
        self.shown
            .iter()
            .flatten()
            .all(|shown| shown.available == self.available && shown.price == self.price)
    }

    /// Whether no more is promised than there is.
    pub(super) fn sound(&self) -> bool {
        (0..=self.on_hand).contains(&self.reserved)
    }
}

/// What a shop shows, by SKU.
pub(super) fn shown(shop: &Shop) -> BTreeMap<String, Shown> {
    let shows = shop.sandbox.shows().into_iter();
    shows.map(|it| (it.sku, Shown { available: it.available, price: it.price })).collect()
}

/// Every variant, by SKU; the ledger's side over REST, the shops' as their customers see it.
pub(super) async fn shelves(stage: &Stage<'_>) -> anyhow::Result<Vec<Shelf>> {
    let head = stage.head().await?.position;
    let mut levels = BTreeMap::new();
    for level in stage.rest.list(&format!("/api/stock?min_position={head}")).await? {
        levels.insert(text(&level["sku"]), level);
    }
    let mut shows = stage.shops.each_ref().map(shown);
    let mut shelves = Vec::new();
    for product in stage.rest.list("/api/products?").await? {
        for variant in product["variants"].as_array().into_iter().flatten() {
            let sku = text(&variant["sku"]);
            let units = |name: &str| levels.get(&sku).and_then(|level| level[name].as_i64()).unwrap_or(0);
            shelves.push(Shelf {
                on_hand: units("on_hand"),
                reserved: units("reserved"),
                available: units("available"),
                price: price(&variant["prices"]["US"]),
                shown: shows.each_mut().map(|shown| shown.remove(&sku)),
                sku,
            });
        }
    }
    shelves.sort_by_cached_key(|shelf| by_size(&shelf.sku));
    Ok(shelves)
}

/// Units per SKU, as the ledger says.
pub(super) fn available(shelves: &[Shelf]) -> BTreeMap<String, i64> {
    shelves.iter().map(|shelf| (shelf.sku.clone(), shelf.available)).collect()
}

/// Ledger and shops side by side.
pub(super) fn comparison<'s>(stage: &Stage<'_>, shelves: impl IntoIterator<Item = &'s Shelf>) -> Table {
    let [one, two] = stage.shops.each_ref().map(|shop| shop.name);
    let mut table = Table::new(&["SKU", ">on hand", ">held", ">LEDGER", ">price", one, two, ""]);
    for shelf in shelves {
        let shop = |shown: &Option<Shown>| match shown {
            Some(shown) => {
                let same = shown.available == shelf.available && shown.price == shelf.price;
                Cell::judged(format_args!("{:>3} at {}", shown.available, shown.price), same)
            }
            None => Cell::from("not sold"),
        };
        table.row([
            Cell::from(&shelf.sku),
            Cell::from(shelf.on_hand),
            Cell::from(shelf.reserved),
            Cell::from(shelf.available),
            Cell::from(&shelf.price),
            shop(&shelf.shown[0]),
            shop(&shelf.shown[1]),
            Cell::mark(shelf.agrees()),
        ]);
    }
    table
}

/// Style code, then size as a number: 9.5 comes before 10.
fn by_size(sku: &str) -> (String, u64) {
    let (style, size) = sku.rsplit_once('-').unwrap_or((sku, ""));
    (style.to_owned(), size.parse::<f64>().map_or(0, |size| (size * 10.0) as u64))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// An amount in cents as a shop prints it.
fn price(money: &Value) -> String {
    money["minor"].as_i64().map_or("none".into(), |cents| format!("{}.{:02}", cents / 100, cents % 100))
}
