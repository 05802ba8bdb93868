//! Quotes in CSV. The reader of the crate takes every text for some table: a quote that is not closed swallows cells and lines
//! without a word, so that is looked for before anything is read.

/// What is wrong with the cell that is found.
pub(super) const MISQUOTED: &str =
    "the quote it begins with is not closed, or one within it is not written twice";

/// What was read of a cell so far.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cell {
    Empty,
    /// One that does not begin with a quote; those within stand for themselves.
    Plain,
    Open,
    /// After a quote that closes it, unless it is the first half of one that is written twice.
    Closed,
}

/// The first cell that begins with a quote and does not end with one: the byte it begins at, and which of its line it is, from 1.
pub(super) fn misquoted(text: &[u8], delimiter: u8) -> Option<(usize, usize)> {
    let (mut cell, mut column, mut begin) = (Cell::Empty, 1, 0);
    for (at, byte) in text.iter().copied().enumerate() {
        cell = match (cell, byte) {
            (Cell::Empty, b'"') => {
                begin = at;
                Cell::Open
            }
            (Cell::Open, b'"') => Cell::Closed,
            (Cell::Open, _) | (Cell::Closed, b'"') => Cell::Open,
            (_, b'\r' | b'\n') => {
                column = 1;
                Cell::Empty
            }
            (_, byte) if byte == delimiter => {
                column += 1;
                Cell::Empty
            }
            (Cell::Closed, _) => return Some((begin, column)),
            (Cell::Empty | Cell::Plain, _) => Cell::Plain,
        };
    }
    (cell == Cell::Open).then_some((begin, column))
}
