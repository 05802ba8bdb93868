//! The figures, and what they say about each other.

use super::{load::Seen, steal::Watched};

/// One round.
pub(super) struct Round {
    /// From 1.
    pub(super) number: usize,
    /// Clients and transactions a second, the best of several.
    pub(super) pgbench: Watched<(u32, f64)>,
    /// Over all variants.
    pub(super) cold: Watched<Seen>,
    /// Over one variant.
    pub(super) hot: Watched<Seen>,
    /// Over one variant, with a second process that takes half of the load.
    pub(super) pair: Option<Watched<Seen>>,
    /// The naive way, over all variants and over one.
    pub(super) naive: Option<(Watched<Seen>, Watched<Seen>)>,
}

impl Round {
    /// As soon as it is known.
    pub(super) fn print(&self) {
        let (clients, rate) = self.pgbench.value;
        println!("round {}", self.number);
        println!(
            "  pgbench rate  {rate:>8.0}/s  at {clients} clients, steal {:.1} %",
            self.pgbench.steal * 100.0
        );
        let naive = self.naive.iter().flat_map(|(cold, hot)| [("naive cold", cold), ("naive hot", hot)]);
        let pair = self.pair.iter().map(|pair| ("hot, 2 procs", pair));
        for (name, seen) in [("cold", &self.cold), ("hot", &self.hot)].into_iter().chain(pair).chain(naive) {
            let Seen { rate: reserved, p50_ms, p99_ms, generator } = seen.value;
            println!(
                "  {name:<12}  {reserved:>8.0}/s  {:.2} × pgbench, p50 {p50_ms:.2} ms, p99 {p99_ms:.2} ms, \
                 load took {:.0} % of a processor, steal {:.1} %",
                reserved / rate,
                generator * 100.0,
                seen.steal * 100.0,
            );
        }
    }
}

/// All rounds.
#[derive(Default)]
pub(super) struct Report {
    pub(super) rounds: Vec<Round>,
}

impl Report {
    /// Medians, extremes and ratios, as a table for the documentation.
    pub(super) fn print(&self) {
        let pgbench = self.figures(|round| round.pgbench.value.1);
        let cold = self.figures(|round| round.cold.value.rate);
        let hot = self.figures(|round| round.hot.value.rate);
        println!("\n| | median /s | min–max /s | × pgbench, each round |");
        println!("| --- | ---: | ---: | --- |");
        row("the pgbench rate", &pgbench, "");
        row("reservations, cold (1,000 variants)", &cold, &self.ratios(|round| round.cold.value.rate));
        row("reservations, hot (1 variant)", &hot, &self.ratios(|round| round.hot.value.rate));
        let naive = |pick: fn(&(Watched<Seen>, Watched<Seen>)) -> f64| -> Vec<f64> {
            self.rounds.iter().filter_map(|round| round.naive.as_ref().map(pick)).collect()
        };
        let (slow_cold, slow_hot) = (naive(|naive| naive.0.value.rate), naive(|naive| naive.1.value.rate));
        if !slow_cold.is_empty() {
            row("row locks, cold", &slow_cold, "");
            row("row locks, hot", &slow_hot, "");
            println!(
                "\nagainst row locks: cold {:.1} times, hot {:.1} times",
                median(&cold) / median(&slow_cold),
                median(&hot) / median(&slow_hot)
            );
        }
        let pair: Vec<f64> = self.rounds.iter().filter_map(|round| Some(round.pair?.value.rate)).collect();
        if !pair.is_empty() {
            row("hot, two processes", &pair, "");
            println!("\ntwo processes on one variant: {:.2} of one", median(&pair) / median(&hot));
        }
        println!(
            "\nmedian ratio: cold {:.2}, hot {:.2}",
            median(&self.each(|round| round.cold.value.rate)),
            median(&self.each(|round| round.hot.value.rate))
        );
    }

    fn figures(&self, pick: impl Fn(&Round) -> f64) -> Vec<f64> {
        self.rounds.iter().map(pick).collect()
    }

    fn each(&self, pick: impl Fn(&Round) -> f64) -> Vec<f64> {
        self.rounds.iter().map(|round| pick(round) / round.pgbench.value.1).collect()
    }

    fn ratios(&self, pick: impl Fn(&Round) -> f64) -> String {
        self.each(pick).iter().map(|ratio| format!("{ratio:.2}")).collect::<Vec<_>>().join(", ")
    }
}

fn row(name: &str, figures: &[f64], ratios: &str) {
    let (least, most) = figures.iter().fold((f64::MAX, 0.0_f64), |(a, b), n| (a.min(*n), b.max(*n)));
    println!("| {name} | {:.0} | {least:.0}–{most:.0} | {ratios} |", median(figures));
}

fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}
