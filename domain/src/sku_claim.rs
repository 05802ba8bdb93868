//! SKU claims: which variant a SKU names. A SKU names at most one variant of a tenant.
//!
//! Two shops that announce the same sneaker in the same second must end up with one variant and two
//! listings; the claim is the stream on which they meet.

use serde::{Deserialize, Serialize};

use crate::{
    Refusal,
    aggregate::aggregate,
    values::{ProductId, Sku, VariantId},
};

/// What has happened to a SKU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SkuEvent {
    /// The SKU became the name of a variant.
    #[serde(rename = "sku.assigned")]
    Assigned {
        /// The variant's product.
        product: ProductId,
        /// The variant it names.
        variant: VariantId,
    },
    /// The SKU names nothing any more.
    #[serde(rename = "sku.released")]
    Released {},
}

/// What one may ask of a SKU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SkuCommand {
    /// Let it name this variant.
    Assign {
        /// The variant's product.
        product: ProductId,
        /// The variant.
        variant: VariantId,
    },
    /// Let it name nothing.
    Release,
}

/// Which variant the SKU names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkuClaim {
    /// Product and variant, if any.
    pub names: Option<(ProductId, VariantId)>,
}

impl SkuClaim {
    fn decide(&self, command: SkuCommand) -> Result<Vec<SkuEvent>, Refusal> {
        match (command, self.names) {
            (SkuCommand::Assign { product, variant }, None) => {
                Ok(vec![SkuEvent::Assigned { product, variant }])
            }
            (SkuCommand::Assign { variant, .. }, Some((_, named))) if variant == named => Ok(vec![]),
            // Which one is not told: it may be of a brand that the caller is not to see.
            (SkuCommand::Assign { .. }, Some(_)) => {
                Err(Refusal::conflict("sku.taken", "this SKU names another variant already"))
            }
            (SkuCommand::Release, Some(_)) => Ok(vec![SkuEvent::Released {}]),
            (SkuCommand::Release, None) => Ok(vec![]),
        }
    }

    /// Takes a fact.
    #[must_use]
    pub fn evolve(mut self, event: SkuEvent) -> Self {
        self.names = match event {
            SkuEvent::Assigned { product, variant } => Some((product, variant)),
            SkuEvent::Released {} => None,
        };
        self
    }
}

aggregate!(SkuClaim, Sku, SkuEvent, SkuCommand, Refusal);

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::scenario::given;

    const P: ProductId = ProductId(Uuid::from_u128(1));
    const V: VariantId = VariantId(Uuid::from_u128(2));
    const W: VariantId = VariantId(Uuid::from_u128(3));

    #[test]
    fn a_sku_names_one_variant_only() {
        let sku = Sku::new("AJ1-42").expect("a SKU");
        given::<SkuClaim>(sku.clone(), [SkuEvent::Assigned { product: P, variant: V }])
            .when(SkuCommand::Assign { product: P, variant: W })
            .then_refused("sku.taken");
        given::<SkuClaim>(sku, [SkuEvent::Assigned { product: P, variant: V }, SkuEvent::Released {}])
            .when(SkuCommand::Assign { product: P, variant: W })
            .then([SkuEvent::Assigned { product: P, variant: W }]);
    }
}
