//! Carts: which reservation a buyer's cart holds at the moment, and on which shelves.
//!
//! A cart is asked for again and again, from several places at once. Its stream is what puts these asks in
//! order: each sees what the one before left held.

use serde::{Deserialize, Serialize};

use crate::{
    Refusal,
    aggregate::aggregate,
    values::{CartId, ReservationId, StockId},
};

/// What has happened to a cart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum CartEvent {
    /// The cart holds units on these shelves now, and nowhere else.
    #[serde(rename = "cart.held")]
    Held {
        /// The caller's name for the cart.
        owner: String,
        /// Under which reservation.
        reservation: ReservationId,
        /// On which shelves.
        shelves: Vec<StockId>,
    },
}

/// What one may ask of a cart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CartCommand {
    /// Note what it holds; nothing happens if that is known.
    Hold {
        /// The caller's name for the cart.
        owner: String,
        /// Under which reservation.
        reservation: ReservationId,
        /// On which shelves.
        shelves: Vec<StockId>,
    },
}

/// A cart as it stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cart {
    /// Its last reservation, which may have ended since.
    pub reservation: Option<ReservationId>,
    /// The shelves that one held units on.
    pub shelves: Vec<StockId>,
}

impl Cart {
    #[expect(clippy::unnecessary_wraps, reason = "deciders share one signature")]
    fn decide(&self, command: CartCommand) -> Result<Vec<CartEvent>, Refusal> {
        let CartCommand::Hold { owner, reservation, shelves } = command;
        let same = self.reservation == Some(reservation) && self.shelves == shelves;
        Ok(if same { vec![] } else { vec![CartEvent::Held { owner, reservation, shelves }] })
    }

    /// Takes a fact.
    #[must_use]
    pub fn evolve(self, event: CartEvent) -> Self {
        let CartEvent::Held { reservation, shelves, .. } = event;
        Self { reservation: Some(reservation), shelves }
    }
}

aggregate!(Cart, CartId, CartEvent, CartCommand, Refusal);

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::scenario::given;

    #[test]
    fn what_a_cart_is_known_to_hold_is_not_said_again() {
        let reservation = ReservationId(Uuid::from_u128(1));
        let held = CartEvent::Held { owner: "cart-7".into(), reservation, shelves: vec![] };
        given::<Cart>(CartId(Uuid::nil()), [held])
            .when(CartCommand::Hold { owner: "cart-7".into(), reservation, shelves: vec![] })
            .then([]);
    }
}
