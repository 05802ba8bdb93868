//! Market prices among the facts: which count at once, which wait for their time, and which for somebody to know the variant.

use chrono::{DateTime, TimeDelta, Utc};
use onhand_domain::{
    Refusal, StreamId,
    aggregate::verdict,
    connection::Platform,
    flag::FlagName,
    monitor::Monitor,
    product::ProductCommand,
    stream::Lookup,
    values::{MonitorId, ProductId, VariantId},
};
use serde_json::json;

use super::{super::steps::PriceNews, Effects, Tally};
use crate::{
    ledger::FollowUp,
    outbox::follow_ups::{PRICE, SOME_DAY},
};

impl Effects {
    /// A market price: it counts as the model's monitor says, if it has one.
    pub(super) fn price(
        &self,
        targets: &[(ProductId, VariantId)],
        news: &PriceNews,
        lookup: &Lookup<'_>,
        now: DateTime<Utc>,
        tally: &mut Tally,
    ) -> Result<(), Refusal> {
        let flag = FlagName::FeatureMonitorUpdatesPrices;
        if !lookup.flag(&flag).is_on(flag) {
            tally.notes.push(format!("{flag} is off; prices stay as they are"));
            return Ok(());
        }
        let Monitor { details, enabled } = lookup.monitor(&MonitorId::of(self.connection, &news.style_code));
        let watched = details.as_ref();
        if watched.is_some_and(|monitor| !enabled || !monitor.watches_price(&news.market)) {
            tally
                .notes
                .push(format!("the monitor of {} lets no price in {} count", news.style_code, news.market));
            return Ok(());
        }
        for (product, variant) in targets {
            let known = lookup.product(product).variants.get(variant);
            let present = known.and_then(|known| known.prices.get(&news.market));
            let last = known.and_then(|known| known.priced_at.get(&news.market));
            let counted = known.and_then(|known| known.counted_at.get(&news.market));
            let (variant, market) = (*variant, &news.market);
            if last.is_some_and(|last| news.at < *last) {
                tally.notes.push(format!("{} is older news than what is known", news.price));
                continue;
            }
            // First the time: the newest price waits, also one that goes back to what is shown.
            let early = watched.zip(present).and_then(|(monitor, _)| {
                let due = monitor.due(*counted?);
                (due > now).then_some(due)
            });
            let slight =
                present.filter(|present| watched.is_some_and(|it| !it.counts(**present, news.price)));
            // What changes nothing has been heard all the same: what was true before it is older news from now on.
            let confirm = ProductCommand::ConfirmPrice { variant, market: market.clone(), at: news.at };
            let command = if let Some(due) = early {
                tally.follow_ups.push(self.waiting(news, due));
                tally.notes.push(format!("{} counts from {due} on", news.price));
                confirm
            } else if let Some(present) = slight {
                tally.notes.push(format!("{present} to {} is below the threshold", news.price));
                confirm
            } else {
                let (market, price, at) = (market.clone(), news.price, Some(news.at));
                ProductCommand::Price { variant, market, price, at, counted_at: now }
            };
            // But where nobody says of when it is, it is as new as whatever comes next.
            let same = early.is_none() && (slight.is_some() || present == Some(&news.price));
            if same && !news.said {
                continue;
            }
            for event in verdict(product, lookup.product(product), command)? {
                tally.changes.push((StreamId::Product(*product), event.into()));
            }
        }
        Ok(())
    }

    /// A market price of what nobody knows. The feed tells what has changed and no more, and most of what it tells is of models
    /// that nobody here sells: so the newest price of each size and market waits, and not each delivery that told one.
    pub(super) fn unpriced(&self, news: &PriceNews, now: DateTime<Utc>, tally: &mut Tally) {
        let size = news.size.as_deref().unwrap_or("any size");
        tally.unmapped += 1;
        tally.notes.push(format!("nothing here is {} in {size}", news.style_code));
        // What others tell is looked at again delivery by delivery.
        if self.platform == Platform::Kicksdb {
            // What became known in this very moment woke those that were there: so it is looked at once more before it sleeps.
            let due = if self.again { SOME_DAY } else { now + TimeDelta::seconds(10) };
            tally.follow_ups.push(self.waiting(news, due));
        }
    }

    /// A price that is kept until then. Of several for one size in one market the newest is.
    fn waiting(&self, news: &PriceNews, due: DateTime<Utc>) -> FollowUp {
        let what = format!("{}|{}|{}", news.style_code, news.size.as_deref().unwrap_or(""), news.market);
        self.follow_up(PRICE, what, Some(json!(news)), due)
    }
}
