//! Lines of reservations, as the entries of shelves add up to them: one rule for the read model and for looks into the past.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use onhand_domain::{
    stock::StockEvent,
    values::{ReservationId, StockId, TenantId},
};

use crate::ledger::{Entry, LedgerError};

/// What some entries add up to for one line.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Net {
    /// Units that were set aside.
    pub reserved: i64,
    /// Units of them that were sold.
    pub committed: i64,
    /// Units of them that were given back.
    pub released: i64,
    /// Units of them whose hold ran out.
    pub expired: i64,
    /// Units of those that were paid for all the same, when others had them.
    pub refund_due: i64,
    /// When it was made, and by whom, if that was among these; the newest counts.
    pub made: Option<(DateTime<Utc>, String)>,
    /// Whether some of it was for an order of a platform, which may have set units aside before.
    pub of_order: bool,
    /// The newest end of the hold, if it got one among these; none within for a hold without an end.
    pub expires_at: Option<Option<DateTime<Utc>>>,
    /// Of the newest entry.
    pub position: i64,
}

/// What some entries add up to, by line.
pub type Nets<'e> = BTreeMap<(ReservationId, &'e StockId), Net>;

/// Adds entries of shelves up, in their order.
pub fn add_up<'e>(
    tenant: TenantId,
    entries: impl IntoIterator<Item = (&'e Entry, &'e StockId, &'e StockEvent)>,
) -> Result<Nets<'e>, LedgerError> {
    let mut nets = Nets::new();
    for (entry, id, event) in entries {
        match event {
            StockEvent::Reserved { reservation, quantity, expires_at, origin, .. } => {
                let made = (entry.recorded_at, entry.context(tenant)?.actor);
                let net = line(&mut nets, *reservation, id, entry);
                net.reserved += quantity.units();
                net.made = Some(made);
                net.of_order |= origin.is_some();
                net.expires_at = Some(*expires_at);
            }
            StockEvent::Committed { reservation, quantity, .. } => {
                line(&mut nets, *reservation, id, entry).committed += quantity.units();
            }
            StockEvent::Released { reservation, quantity, .. } => {
                line(&mut nets, *reservation, id, entry).released += quantity.units();
            }
            StockEvent::Expired { reservation, quantity, .. } => {
                line(&mut nets, *reservation, id, entry).expired += quantity.units();
            }
            StockEvent::Extended { reservation, expires_at, .. } => {
                line(&mut nets, *reservation, id, entry).expires_at = Some(Some(*expires_at));
            }
            StockEvent::Regained { reservation, quantity, .. } => {
                line(&mut nets, *reservation, id, entry).expired -= quantity.units();
            }
            StockEvent::RefundDue { reservation, quantity } => {
                line(&mut nets, *reservation, id, entry).refund_due += quantity.units();
            }
            StockEvent::Restocked { .. }
            | StockEvent::Adjusted { .. }
            | StockEvent::Counted { .. }
            | StockEvent::Covered { .. }
            | StockEvent::Waived { .. }
            | StockEvent::TransferredOut { .. }
            | StockEvent::TransferredIn { .. }
            | StockEvent::PolicySet(_)
            | StockEvent::Low { .. }
            | StockEvent::Recovered { .. } => {}
        }
    }
    Ok(nets)
}

fn line<'n, 'e>(
    nets: &'n mut Nets<'e>,
    reservation: ReservationId,
    shelf: &'e StockId,
    entry: &Entry,
) -> &'n mut Net {
    let net = nets.entry((reservation, shelf)).or_default();
    net.position = entry.position;
    net
}

#[cfg(test)]
mod tests {
    use onhand_domain::values::{LocationCode, Quantity, VariantId};
    use uuid::Uuid;

    use super::*;

    const R: ReservationId = ReservationId(Uuid::from_u128(7));

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).expect("a time")
    }

    fn entry(position: i64) -> Entry {
        Entry {
            position,
            event_id: Uuid::nil(),
            stream: String::new(),
            version: position,
            name: String::new(),
            name_version: 1,
            recorded_at: at(position),
            payload: String::new(),
            metadata: format!(r#"{{"actor":"key:{position}","source":"rest","correlation_id":"c"}}"#),
            hash: vec![],
        }
    }

    fn added_up(events: &[StockEvent]) -> Vec<Net> {
        let shelf = StockId { variant: VariantId(Uuid::from_u128(1)), location: LocationCode::default() };
        let entries: Vec<Entry> = (1..).zip(events).map(|(position, _)| entry(position)).collect();
        let facts = entries.iter().zip(events).map(|(entry, event)| (entry, &shelf, event));
        add_up(TenantId(Uuid::nil()), facts).expect("entries with an actor").into_values().collect()
    }

    #[test]
    fn a_line_is_what_its_entries_add_up_to_and_what_was_said_last() {
        let two = Quantity::new(2).expect("in range");
        let one = Quantity::new(1).expect("in range");
        let reserved = |seconds| StockEvent::Reserved {
            reservation: R,
            quantity: two,
            expires_at: Some(at(seconds)),
            origin: None,
            occurred_at: None,
        };
        let committed = StockEvent::Committed {
            reservation: R,
            quantity: one,
            reference: None,
            occurred_at: None,
            origin: None,
        };
        let nets = added_up(&[
            StockEvent::Restocked { quantity: two, reference: None, occurred_at: None, origin: None },
            reserved(100),
            StockEvent::Extended { reservation: R, expires_at: at(200), payment: false },
            committed,
            StockEvent::Expired { reservation: R, quantity: one, occurred_at: None },
            StockEvent::Regained { reservation: R, quantity: one, occurred_at: None },
            reserved(300),
            StockEvent::Released { reservation: R, quantity: one, origin: None, occurred_at: None },
            StockEvent::Waived { reservation: R },
        ]);
        let net = Net {
            reserved: 4,
            committed: 1,
            released: 1,
            made: Some((at(7), "key:7".to_owned())),
            expires_at: Some(Some(at(300))),
            position: 8,
            ..Net::default()
        };
        assert_eq!(nets, [net]);
    }

    #[test]
    fn entries_without_the_making_of_a_line_do_not_say_when_it_was_made() {
        let one = Quantity::new(1).expect("in range");
        let nets = added_up(&[StockEvent::RefundDue { reservation: R, quantity: one }]);
        assert_eq!(nets, [Net { refund_due: 1, position: 1, ..Net::default() }]);
    }
}
