//! Identifiers, one type each, so that a variant cannot be passed for a product.

use std::{fmt, ops::RangeInclusive, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{ExternalId, InvalidValue, LocationCode};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidValue;

            fn from_str(text: &str) -> Result<Self, InvalidValue> {
                Uuid::parse_str(text)
                    .map(Self)
                    .map_err(|_| InvalidValue::new(stringify!($name), format!("{text:?} is not a UUID")))
            }
        }
    };
}

id!(
    /// One seller, with a ledger of its own.
    TenantId
);
id!(
    /// What is sold, as a family of variants.
    ProductId
);
id!(
    /// One sellable form of a product: a size, a colour.
    VariantId
);
id!(
    /// One brand's account on one platform.
    ConnectionId
);
id!(
    /// A variant as it stands on a connection.
    ListingId
);
id!(
    /// A product as it stands on a connection.
    OfferId
);
id!(
    /// Lines held together for one buyer.
    ReservationId
);
id!(
    /// A buyer's cart.
    CartId
);
id!(
    /// One webhook as one sender meant it, however often it arrives.
    DeliveryId
);
id!(
    /// A platform's order.
    OrderId
);
id!(
    /// A watch on one model of a market feed.
    MonitorId
);
id!(
    /// An API key.
    KeyId
);
id!(
    /// One entry of a ledger.
    EventId
);

impl ListingId {
    /// The listing of a platform's variant: the same answer each time, so that no look-up is needed.
    pub fn of(connection: ConnectionId, external_variant: &ExternalId) -> Self {
        Self(Uuid::new_v5(&connection.0, format!("listing/{external_variant}").as_bytes()))
    }
}

impl OfferId {
    /// The offer of a product: one for each connection, whether or not it is there.
    pub fn of(connection: ConnectionId, product: ProductId) -> Self {
        Self(Uuid::new_v5(&connection.0, format!("offer/{product}").as_bytes()))
    }
}

impl OrderId {
    /// A platform's order, by the platform's own id.
    pub fn of(connection: ConnectionId, external: &ExternalId) -> Self {
        Self(Uuid::new_v5(&connection.0, format!("order/{external}").as_bytes()))
    }
}

impl MonitorId {
    /// The monitor of a model: one for each connection and maker's code.
    pub fn of(connection: ConnectionId, style_code: &str) -> Self {
        Self(Uuid::new_v5(&connection.0, format!("monitor/{style_code}").as_bytes()))
    }
}

impl DeliveryId {
    /// A delivery, by the id its sender gives it (or the key made from its content).
    pub fn of(connection: ConnectionId, external: &str) -> Self {
        Self(Uuid::new_v5(&connection.0, format!("delivery/{external}").as_bytes()))
    }
}

impl CartId {
    /// A buyer's cart, by the name a caller gives it. Callers of different brands never mean the same cart.
    pub fn of(tenant: TenantId, brand: Option<&str>, owner: &str) -> Self {
        let brand = brand.map(|brand| format!("{}/{brand}", brand.len())).unwrap_or_default();
        Self(Uuid::new_v5(&tenant.0, format!("cart/{brand}/{owner}").as_bytes()))
    }
}

/// The four bits of an id's first half that say which version it is of.
const VERSION: u64 = 0xf000;

impl ReservationId {
    /// A reservation of a cart: its first half says of which, the second half of `random` that it is this one.
    pub fn of_cart(cart: CartId, random: Uuid) -> Self {
        let ((cart, _), (_, this)) = (cart.0.as_u64_pair(), random.as_u64_pair());
        Self(Uuid::new_v8(Uuid::from_u64_pair(cart, this).into_bytes()))
    }

    /// Where the id of its cart lies; none if it is no cart's, or says nothing of it: older ones are of version 4.
    pub fn carts(self) -> Option<RangeInclusive<CartId>> {
        if self.0.get_version_num() != 8 {
            return None;
        }
        let (cart, _) = self.0.as_u64_pair();
        let cart = (cart & !VERSION) | 0x5000; // a cart's own id is of version 5
        Some(CartId(Uuid::from_u64_pair(cart, 0))..=CartId(Uuid::from_u64_pair(cart, u64::MAX)))
    }
}

impl From<OrderId> for ReservationId {
    /// A platform's order holds its units under its own id.
    fn from(order: OrderId) -> Self {
        Self(order.0)
    }
}

/// The shelf: a variant at a location.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StockId {
    /// What is on it.
    pub variant: VariantId,
    /// Where it stands.
    pub location: LocationCode,
}

impl fmt::Display for StockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.variant, self.location)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reservation_of_a_cart_says_where_its_cart_is_found() {
        let tenant = TenantId(Uuid::from_u128(1));
        let cart = CartId::of(tenant, None, "cart-7");
        let reservation = |random| ReservationId::of_cart(cart, Uuid::from_u128(random));
        let carts = reservation(7).carts().expect("a cart's");
        assert!(carts.contains(&cart));
        assert!(!carts.contains(&CartId::of(tenant, None, "cart-8")));
        // Names of streams lie as the ids do.
        assert!((carts.start().to_string()..=carts.end().to_string()).contains(&cart.to_string()));
        assert_ne!(reservation(7), reservation(8));
        let order: ReservationId = OrderId(cart.0).into();
        assert_eq!(order.carts(), None);
    }
}
