//! What the demo looks like: chapters, steps with their times, tables, verdicts. Colour only where it is welcome.

use std::{
    env,
    fmt::Display,
    io::{self, IsTerminal, Write},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};

/// The column that times end at.
const WIDTH: usize = 92;

/// How a text stands out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ink {
    Plain,
    Bold,
    Dim,
    Good,
    Bad,
    Title,
}

impl Ink {
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "0",
            Self::Bold => "1",
            Self::Dim => "2",
            Self::Good => "32",
            Self::Bad => "1;31",
            Self::Title => "1;36",
        }
    }
}

/// Where everything is shown; remembers how many checks failed.
pub(super) struct Screen {
    colour: bool,
    failures: AtomicUsize,
    /// The last line was empty, so that another empty one would be too much air.
    gap: AtomicBool,
}

impl Screen {
    pub(super) fn new() -> Self {
        let welcome = env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self {
            colour: welcome && !dumb && io::stdout().is_terminal(),
            failures: AtomicUsize::new(0),
            gap: AtomicBool::new(false),
        }
    }

    /// A line as it is. Whoever closed the pipe has seen enough; that is no reason to stop.
    pub(super) fn line(&self, text: impl Display) {
        self.gap.store(false, Ordering::Relaxed);
        let _ = writeln!(io::stdout(), "{text}");
    }

    /// An empty line, unless there is one already.
    pub(super) fn gap(&self) {
        if !self.gap.swap(true, Ordering::Relaxed) {
            let _ = writeln!(io::stdout());
        }
    }

    pub(super) fn ink(&self, ink: Ink, text: impl Display) -> String {
        let text = text.to_string();
        if self.colour && ink != Ink::Plain && !text.is_empty() {
            return format!("\x1b[{}m{text}\x1b[0m", ink.code());
        }
        text
    }

    /// The beginning of a chapter: its number, its name, and what it shows in one sentence.
    pub(super) fn chapter(&self, number: usize, title: &str, sentence: &str) {
        self.gap();
        self.line(self.ink(Ink::Title, format_args!("{number:>2}  {title}")));
        self.line(format_args!("    {}", self.ink(Ink::Dim, sentence)));
        self.gap();
    }

    /// Something that was done, and how long it took.
    pub(super) fn step(&self, text: impl Display, took: Duration) {
        let (text, took) = (text.to_string(), short(took));
        let room = WIDTH.saturating_sub(4 + visible(&text));
        self.line(format_args!("    {text}{}", self.ink(Ink::Dim, format_args!("{took:>room$}"))));
    }

    /// Something worth knowing.
    pub(super) fn say(&self, text: impl Display) {
        self.line(format_args!("    {text}"));
    }

    /// A verdict, with the proof of it; a failed one is remembered.
    pub(super) fn check(&self, holds: bool, text: impl Display) {
        if !holds {
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
        self.line(format_args!("    {} {text}", self.verdict(holds)));
    }

    pub(super) fn verdict(&self, holds: bool) -> String {
        if holds { self.ink(Ink::Good, "✓") } else { self.ink(Ink::Bad, "✗") }
    }

    pub(super) fn failures(&self) -> usize {
        self.failures.load(Ordering::Relaxed)
    }

    /// A table, between empty lines. A column is as wide as its widest cell.
    pub(super) fn table(&self, table: &Table) {
        let width = |column: usize| {
            let cells =
                table.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.0.chars().count());
            cells.chain([table.columns[column].trim_start_matches('>').chars().count()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..table.columns.len()).map(width).collect();
        let heads = table.columns.iter().map(|name| Cell(name.trim_start_matches('>').into(), Ink::Dim));
        let heads: Vec<Cell> = heads.collect();
        self.gap();
        for row in [&heads].into_iter().chain(&table.rows) {
            let mut line = String::from("     ");
            for ((cell, width), name) in row.iter().zip(&widths).zip(&table.columns) {
                let space = " ".repeat(width.saturating_sub(cell.0.chars().count()));
                let text = self.ink(cell.1, &cell.0);
                let (left, right) =
                    if name.starts_with('>') { (space, "".into()) } else { ("".into(), space) };
                line.push_str(&format!(" {left}{text}{right} "));
            }
            self.line(line.trim_end());
        }
        self.gap();
    }
}

/// A text in a table.
pub(super) struct Cell(String, Ink);

impl Cell {
    pub(super) fn new(text: impl Display, ink: Ink) -> Self {
        Self(text.to_string(), ink)
    }

    /// Good or bad, by whether it is what it should be.
    pub(super) fn judged(text: impl Display, holds: bool) -> Self {
        Self::new(text, if holds { Ink::Plain } else { Ink::Bad })
    }

    pub(super) fn mark(holds: bool) -> Self {
        if holds { Self::new("✓", Ink::Good) } else { Self::new("✗", Ink::Bad) }
    }
}

impl<T: Display> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text, Ink::Plain)
    }
}

/// Rows under names; a name that begins with `>` has its column to the right.
pub(super) struct Table {
    columns: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    pub(super) fn new(columns: &[&'static str]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    pub(super) fn row(&mut self, cells: impl Into<Vec<Cell>>) {
        self.rows.push(cells.into());
    }
}

/// How many columns a text takes, inks aside.
fn visible(text: &str) -> usize {
    let mut parts = text.split('\x1b');
    let plain = parts.next().map_or(0, |part| part.chars().count());
    let inked = |part: &str| part.split_once('m').map_or(0, |(_, shown)| shown.chars().count());
    plain + parts.map(inked).sum::<usize>()
}

/// A duration in the unit that suits it.
pub(super) fn short(took: Duration) -> String {
    match took.as_secs_f64() {
        seconds if seconds < 0.01 => format!("{:.1} ms", seconds * 1e3),
        seconds if seconds < 1.0 => format!("{:.0} ms", seconds * 1e3),
        seconds => format!("{seconds:.1} s"),
    }
}

/// A number with its thousands set apart.
pub(super) fn number(number: impl Display) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!([7, 999, 1_000, 1_234_567].map(number), ["7", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn ink_takes_no_room() {
        let screen = Screen { colour: true, failures: AtomicUsize::new(0), gap: AtomicBool::new(false) };
        let text = format!("{} plain {}", screen.ink(Ink::Bold, "main"), screen.ink(Ink::Good, "✓"));
        assert_eq!((visible(&text), visible("main")), (12, 4));
    }

    #[test]
    fn a_duration_has_the_unit_that_suits_it() {
        assert_eq!([2, 340, 2_500].map(|ms| short(Duration::from_millis(ms))), ["2.0 ms", "340 ms", "2.5 s"]);
    }
}
