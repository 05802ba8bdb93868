//! The share of the processors that somebody else took; above a few percent a figure says little.

/// The most that is put up with before a measurement is made again.
const STEAL_MAX: f64 = 0.06;
const TRIES: usize = 4;

/// A result with the share that was stolen while it was measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Watched<T> {
    /// The result.
    pub(super) value: T,
    /// From 0 to 1.
    pub(super) steal: f64,
}

/// Measures, and again if too much was stolen; the calmest try counts.
pub(super) async fn watched<T, F>(measure: impl Fn() -> F) -> anyhow::Result<Watched<T>>
where
    F: Future<Output = anyhow::Result<T>>,
{
    let mut best: Option<Watched<T>> = None;
    for _ in 0..TRIES {
        let before = ticks();
        let value = measure().await?;
        let steal = share(before, ticks());
        if best.as_ref().is_none_or(|best| steal < best.steal) {
            best = Some(Watched { value, steal });
        }
        if steal <= STEAL_MAX {
            break;
        }
    }
    best.ok_or_else(|| anyhow::anyhow!("nothing was measured"))
}

/// All ticks and stolen ones; nothing where there is no such file.
fn ticks() -> (u64, u64) {
    let text = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = text.lines().next().unwrap_or_default();
    let numbers: Vec<u64> = line.split_whitespace().skip(1).filter_map(|n| n.parse().ok()).collect();
    (numbers.iter().take(8).sum(), numbers.get(7).copied().unwrap_or_default())
}

fn share(before: (u64, u64), after: (u64, u64)) -> f64 {
    let all = after.0.saturating_sub(before.0).max(1);
    after.1.saturating_sub(before.1) as f64 / all as f64
}
