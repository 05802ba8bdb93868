//! What the two shops sell: invented sneakers, most of them in both, at prices that do not agree yet.

use onhand_infrastructure::platforms::shopify::sandbox::{SeedProduct, SeedVariant};

/// The model whose price the market moves.
pub(super) const MOVING: &str = "VH2204";

/// The size everybody wants.
pub(super) const HOT: &str = "KC3310-9";

const SIZES: [&str; 5] = ["8", "8.5", "9", "9.5", "10"];

/// Title, maker, style code, the first shop's price, the second's, and how many sizes the second one sells.
const MODELS: [(&str, &str, &str, &str, &str, usize); 4] = [
    ("Velora Drift 90", "Velora", "VD1090", "120.00", "120.00", 5),
    ("Velora Halcyon Low", "Velora", "VH2204", "95.00", "99.00", 5),
    ("Kestrel Court", "Kestrel", "KC3310", "140.00", "140.00", 5),
    ("Kestrel Ember Mid", "Kestrel", "KE4407", "165.00", "159.00", 2),
];

/// What a shop, the first or the second, has in its window; its shelves are empty.
pub(super) fn window(second: bool) -> impl Iterator<Item = SeedProduct> {
    MODELS.into_iter().map(move |(title, maker, style, price, other_price, sizes)| SeedProduct {
        title: title.into(),
        vendor: maker.into(),
        product_type: "Sneakers".into(),
        variants: SIZES
            .iter()
            .take(if second { sizes } else { SIZES.len() })
            .map(|size| SeedVariant {
                sku: format!("{style}-{size}"),
                option1: (*size).into(),
                price: if second { other_price } else { price }.into(),
                quantity: 0,
            })
            .collect(),
        ..SeedProduct::default()
    })
}

/// What arrives from the makers: every SKU, and how many of it.
pub(super) fn arrival() -> impl Iterator<Item = (String, i64)> {
    let skus = MODELS.into_iter().flat_map(|(_, _, style, ..)| SIZES.map(|size| format!("{style}-{size}")));
    skus.zip([12, 8, 20, 15, 9].into_iter().cycle())
}
