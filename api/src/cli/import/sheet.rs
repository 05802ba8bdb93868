//! A seller's spreadsheet, saved as CSV: read as a whole and checked cell by cell, so that nothing is written of one that has a
//! mistake in it.

mod quotes;

use std::{
    collections::{BTreeMap, HashMap},
    fmt::{self, Display},
};

use anyhow::{Context, bail, ensure};
use csv::{Reader, ReaderBuilder, StringRecord};
use onhand_domain::{
    aggregate::verdict,
    product::{Product, ProductCommand, ProductDetails, VariantDetails},
    values::{Currency, InvalidValue, LocationCode, Market, Money, ProductId, Quantity, Sku, VariantId},
};
use uuid::Uuid;

use self::quotes::{MISQUOTED, misquoted};

/// The most lines below the names of columns, blank ones apart.
const LINES_MAX: usize = 100_000;
const COLUMNS_MAX: usize = 100;
/// More than any column takes.
const CELL_CHARS_MAX: usize = 500;
/// Mistakes that are told; a file that was saved in another form has thousands of one kind.
const TOLD_MAX: usize = 20;
/// What the name of a column of another attribute begins with: `attribute:material`.
const ATTRIBUTE: &str = "attribute:";
const KNOWN: &str =
    "sku, product, brand, location, counted, price, currency, market, size, color, colour and attribute:NAME";
const DIFFERS: &str = "a line before has another one for this SKU";

/// What a file says.
#[derive(Debug, Default)]
pub(super) struct Sheet {
    /// Each line, in the order of the file.
    pub(super) rows: Vec<Row>,
    /// What the lines of each SKU say of it together.
    pub(super) variants: BTreeMap<Sku, Variant>,
}

/// What a line says of a shelf.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) line: usize,
    pub(super) sku: Sku,
    pub(super) location: LocationCode,
    /// Units found there, if they were counted.
    pub(super) counted: Option<Quantity>,
}

/// What a file says of a variant.
#[derive(Debug, Default)]
pub(super) struct Variant {
    /// The first line that speaks of it.
    pub(super) line: usize,
    /// None where no product is named: it has to be there already.
    pub(super) family: Option<Family>,
    pub(super) attributes: BTreeMap<String, String>,
    pub(super) prices: BTreeMap<Market, Money>,
}

/// What the variants of one product have in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Family {
    pub(super) title: String,
    pub(super) brand: Option<String>,
}

impl Variant {
    /// Whether a file says more of it than its SKU.
    pub(super) fn is_described(&self) -> bool {
        self.family.is_some() || !self.attributes.is_empty() || !self.prices.is_empty()
    }
}

impl Family {
    /// The product that they make.
    pub(super) fn details(&self) -> ProductDetails {
        let Self { title, brand } = self.clone();
        ProductDetails { title, brand, ..ProductDetails::default() }
    }
}

/// What is wrong with a file, as far as somebody will read it.
#[derive(Debug, Default)]
pub(super) struct Problems {
    told: Vec<String>,
    more: usize,
}

impl Problems {
    pub(super) fn add(&mut self, line: usize, column: &dyn Display, why: &dyn Display) {
        if self.told.len() < TOLD_MAX {
            self.told.push(format!("line {line}, column {column}: {why}"));
        } else {
            self.more += 1;
        }
    }

    /// Fails if there are any.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        let Self { told, more } = self;
        let more = if *more == 0 { String::new() } else { format!("\nand {more} more") };
        ensure!(
            told.is_empty(),
            "nothing was written, for the file has mistakes:\n{}{more}",
            told.join("\n")
        );
        Ok(())
    }
}

/// What stands in a column.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Column {
    Sku,
    Product,
    Brand,
    Location,
    Counted,
    Price,
    Currency,
    Market,
    Attribute(String),
}

impl Column {
    /// The column of this name, in large letters or small.
    fn named(name: &str) -> Option<Self> {
        let lower = name.to_ascii_lowercase();
        match lower.as_str() {
            "sku" => Some(Self::Sku),
            "product" => Some(Self::Product),
            "brand" => Some(Self::Brand),
            "location" => Some(Self::Location),
            "counted" => Some(Self::Counted),
            "price" => Some(Self::Price),
            "currency" => Some(Self::Currency),
            "market" => Some(Self::Market),
            plain @ ("size" | "color" | "colour") => Some(Self::Attribute(plain.to_owned())),
            other => {
                let attribute = other.strip_prefix(ATTRIBUTE).and(name.get(ATTRIBUTE.len()..))?.trim();
                (!attribute.is_empty()).then(|| Self::Attribute(attribute.to_owned()))
            }
        }
    }
}

impl Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sku => "sku",
            Self::Product => "product",
            Self::Brand => "brand",
            Self::Location => "location",
            Self::Counted => "counted",
            Self::Price => "price",
            Self::Currency => "currency",
            Self::Market => "market",
            Self::Attribute(name) => name,
        })
    }
}

/// Records one after the other, each with the line it begins in. The reader's own count of lines is one behind where they end
/// with `\r\n`.
struct Records<'t> {
    text: &'t [u8],
    reader: Reader<&'t [u8]>,
    record: StringRecord,
    /// Where the record begins.
    byte: usize,
    line: usize,
}

impl<'t> Records<'t> {
    fn new(text: &'t [u8], delimiter: u8) -> Self {
        // Longer lines are told as what is wrong with the file. Shorter ones lack empty cells, which some programs leave out.
        let mut builder = ReaderBuilder::new();
        let reader = builder.has_headers(false).flexible(true).delimiter(delimiter).from_reader(text);
        Self { text, reader, record: StringRecord::new(), byte: 0, line: 1 }
    }

    /// Goes on to the next record that is not blank. False at the end.
    fn advance(&mut self) -> Result<bool, csv::Error> {
        while self.reader.read_record(&mut self.record)? {
            self.find_line();
            if self.record.iter().any(|cell| !cell.trim().is_empty()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn find_line(&mut self) {
        let byte = self.record.position().map_or(0, csv::Position::byte);
        let end = self.text.len();
        let mut begin = usize::try_from(byte).unwrap_or(end).clamp(self.byte, end);
        // Ends of lines before it are part of what was read for it.
        while matches!(self.text.get(begin), Some(b'\r' | b'\n')) {
            begin += 1;
        }
        self.line += ends(&self.text[self.byte..begin]);
        self.byte = begin;
    }
}

/// How many lines end in this: with `\n`, with `\r\n`, or with `\r`.
fn ends(text: &[u8]) -> usize {
    let is_end = |(at, byte): &(usize, &u8)| match **byte {
        b'\n' => true,
        b'\r' => text.get(at + 1) != Some(&b'\n'),
        _ => false,
    };
    text.iter().enumerate().filter(is_end).count()
}

/// What parts cells, by the names of columns. Where a comma stands in amounts, spreadsheets write semicolons; either may stand in
/// a name as well, and a tab does not.
fn delimiter(names: &str) -> u8 {
    let [commas, semicolons] = [',', ';'].map(|delimiter| names.matches(delimiter).count());
    if names.contains('\t') {
        b'\t'
    } else if semicolons > commas {
        b';'
    } else {
        b','
    }
}

/// The cells of one line.
struct Cells<'r> {
    line: usize,
    columns: &'r [Column],
    record: &'r StringRecord,
}

impl<'r> Cells<'r> {
    /// What stands in a column; none if there is no such column, or nothing in it.
    fn get(&self, column: &Column) -> Option<&'r str> {
        let place = self.columns.iter().position(|known| known == column)?;
        self.record.get(place).map(str::trim).filter(|cell| !cell.is_empty())
    }
}

impl Sheet {
    /// Reads a file with a line of column names first, or says what is wrong with it and where.
    pub(super) fn read(text: &str) -> anyhow::Result<Self> {
        let names = text.split(['\r', '\n']).find(|line| !line.trim().is_empty()).unwrap_or_default();
        let (text, delimiter) = (text.as_bytes(), delimiter(names));
        let mut reading = Reading::default();
        // It is told alone: what comes after it may have been read as part of it.
        if let Some((begin, column)) = misquoted(text, delimiter) {
            reading.problems.add(ends(&text[..begin]) + 1, &column, &MISQUOTED);
            reading.problems.check()?;
        }
        let mut records = Records::new(text, delimiter);
        ensure!(records.advance()?, "the file is empty");
        let columns = reading.columns(records.line, &records.record);
        reading.problems.check()?;
        let mut lines = 0;
        while records.advance()? {
            lines += 1;
            if lines > LINES_MAX {
                bail!("nothing was written: more than {LINES_MAX} lines are too many for one file; split it");
            }
            reading.take(&Cells { line: records.line, columns: &columns, record: &records.record });
        }
        reading.problems.check()?;
        Ok(reading.sheet)
    }
}

/// What was read so far.
#[derive(Default)]
struct Reading {
    sheet: Sheet,
    problems: Problems,
    /// The line that counts each shelf.
    counted: HashMap<(Sku, LocationCode), usize>,
}

impl Reading {
    fn columns(&mut self, line: usize, names: &StringRecord) -> Vec<Column> {
        // Columns that were emptied and not deleted are saved without a name, after the others.
        let named = names.iter().rev().skip_while(|name| name.trim().is_empty()).count();
        let mut columns = Vec::with_capacity(named);
        if named > COLUMNS_MAX {
            let why = format!("a file has at most {COLUMNS_MAX} columns");
            self.problems.add(line, &(COLUMNS_MAX + 1), &why);
            return columns;
        }
        for (number, name) in (1..=named).zip(names.iter().map(str::trim)) {
            if let Some(why) = unfit(name) {
                self.problems.add(line, &number, &why);
                continue;
            }
            match Column::named(name) {
                None => {
                    let why = format!("there is no column {name:?}; those there are: {KNOWN}");
                    self.problems.add(line, &number, &why);
                }
                Some(column) if columns.contains(&column) => {
                    self.problems.add(line, &number, &format!("there is a column {column} already"));
                }
                Some(column) => columns.push(column),
            }
        }
        if !columns.contains(&Column::Sku) {
            self.problems.add(line, &Column::Sku, &"there is no such column, and every line needs it");
        }
        columns
    }

    fn take(&mut self, cells: &Cells<'_>) {
        let line = cells.line;
        if !self.is_sound(cells) {
            return;
        }
        if cells.get(&Column::Sku).is_none() {
            self.problems.add(line, &Column::Sku, &"it is empty, and every line needs one");
        }
        let Some(sku) = self.cell(cells, &Column::Sku, sku) else { return };
        self.join(cells, &sku);
        let location = self.cell(cells, &Column::Location, LocationCode::new).unwrap_or_default();
        let counted = self.cell(cells, &Column::Counted, units);
        if counted.is_some()
            && let Some(before) = self.counted.insert((sku.clone(), location.clone()), line)
        {
            let why = format!("line {before} counts this SKU at {location} already");
            self.problems.add(line, &Column::Counted, &why);
        }
        self.sheet.rows.push(Row { line, sku, location, counted });
    }

    /// Whether a line has a column for each cell with something in it, and nothing in one that no column takes.
    fn is_sound(&mut self, cells: &Cells<'_>) -> bool {
        let Cells { line, columns, record } = *cells;
        if let Some(beyond) = record.iter().skip(columns.len()).position(|cell| !cell.trim().is_empty()) {
            let why = format!(
                "the line has {} cells for {} columns; a text with a separator in it stands in quotes",
                record.len(),
                columns.len()
            );
            self.problems.add(line, &(columns.len() + 1 + beyond), &why);
            return false;
        }
        let wrong = columns.iter().zip(record).find_map(|(column, cell)| Some((column, unfit(cell.trim())?)));
        if let Some((column, why)) = &wrong {
            self.problems.add(line, column, why);
        }
        wrong.is_none()
    }

    /// What a cell says; none if it says nothing, or what cannot be used, which is told.
    fn cell<T>(
        &mut self,
        cells: &Cells<'_>,
        column: &Column,
        read: impl FnOnce(&str) -> Result<T, InvalidValue>,
    ) -> Option<T> {
        let value = read(cells.get(column)?);
        value.inspect_err(|invalid| self.problems.add(cells.line, column, &invalid.why)).ok()
    }

    /// Takes what a line says of a variant. A SKU has several lines, if it stands at several locations or has prices in several
    /// markets; they must not differ in what they say twice.
    fn join(&mut self, cells: &Cells<'_>, sku: &Sku) {
        let line = cells.line;
        let (family, price) = (self.family(cells), self.price(cells));
        let attributes = self.attributes(cells, sku);
        let problems = &mut self.problems;
        let variants = &mut self.sheet.variants;
        let variant = variants.entry(sku.clone()).or_insert_with(|| Variant { line, ..Variant::default() });
        if let Some(family) = family
            && *variant.family.get_or_insert_with(|| family.clone()) != family
        {
            problems.add(line, &Column::Product, &DIFFERS);
        }
        for (name, value) in attributes {
            if *variant.attributes.entry(name.clone()).or_insert_with(|| value.clone()) != value {
                problems.add(line, &Column::Attribute(name), &DIFFERS);
            }
        }
        if let Some((market, price)) = price
            && *variant.prices.entry(market).or_insert(price) != price
        {
            problems.add(line, &Column::Price, &DIFFERS);
        }
    }

    fn family(&mut self, cells: &Cells<'_>) -> Option<Family> {
        let brand = cells.get(&Column::Brand).map(str::to_owned);
        let Some(title) = cells.get(&Column::Product).map(str::to_owned) else {
            if brand.is_some() {
                self.problems.add(cells.line, &Column::Product, &"it is empty, and a brand is given");
            }
            return None;
        };
        let (unbranded, family) = (Family { title: title.clone(), brand: None }, Family { title, brand });
        // The very rules of a product are asked, the title's first.
        for (column, family) in [(Column::Product, &unbranded), (Column::Brand, &family)] {
            if let Some(why) = refused(ProductCommand::Create(family.details())) {
                self.problems.add(cells.line, &column, &why);
                return None;
            }
        }
        Some(family)
    }

    fn attributes(&mut self, cells: &Cells<'_>, sku: &Sku) -> BTreeMap<String, String> {
        let mut attributes = BTreeMap::new();
        for column in cells.columns {
            let (Column::Attribute(name), Some(value)) = (column, cells.get(column)) else { continue };
            let one = BTreeMap::from([(name.clone(), value.to_owned())]);
            let details = VariantDetails { sku: sku.clone(), attributes: one };
            let variant = VariantId(Uuid::nil());
            if let Some(why) = refused(ProductCommand::PutVariant { variant, details }) {
                self.problems.add(cells.line, column, &why);
            }
            attributes.insert(name.clone(), value.to_owned());
        }
        attributes
    }

    fn price(&mut self, cells: &Cells<'_>) -> Option<(Market, Money)> {
        let market = self.cell(cells, &Column::Market, Market::new).unwrap_or_default();
        let currency = self.cell(cells, &Column::Currency, Currency::new);
        cells.get(&Column::Price)?;
        if cells.get(&Column::Currency).is_none() {
            let why = "it is empty, and a price is given; say of which, such as USD";
            self.problems.add(cells.line, &Column::Currency, &why);
        }
        let currency = currency?;
        let price = self.cell(cells, &Column::Price, |text| amount(text, currency))?;
        Some((market, price))
    }
}

/// Why no column takes this, if none does.
fn unfit(cell: &str) -> Option<String> {
    if cell.chars().count() > CELL_CHARS_MAX {
        Some(format!("it has more than {CELL_CHARS_MAX} characters"))
    } else if cell.chars().any(char::is_control) {
        Some("there are line breaks or other control characters in it".to_owned())
    } else {
        None
    }
}

/// A number that a spreadsheet has cut short names nothing any more.
fn sku(text: &str) -> Result<Sku, InvalidValue> {
    let is_cut = text.split_once("E+").is_some_and(|(digits, power)| {
        digits.starts_with(|first: char| first.is_ascii_digit())
            && digits.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b','))
            && power.len() == 2
            && power.bytes().all(|byte| byte.is_ascii_digit())
    });
    if is_cut {
        let why = format!("{text:?} is a number that was cut short; give the column the format \"Text\"");
        return Err(InvalidValue { what: "Sku", why });
    }
    Sku::new(text)
}

/// A price as persons write it: in many countries 1.200 is twelve hundred, and 1,20 is what is 1.20 elsewhere.
fn amount(text: &str, currency: Currency) -> Result<Money, InvalidValue> {
    let decimal = with_point(text);
    let text = decimal.as_deref().unwrap_or(text);
    let why = match text.split_once('.') {
        _ if text.contains(',') => {
            format!("{text:?} has a comma; write a point before decimals, and nothing between thousands")
        }
        Some((_, digits)) if digits.len() == 3 && currency.decimals() != 3 => {
            format!("{text:?} may be thousands; write such as 1200 or 1.20")
        }
        _ => return Money::parse(text, currency),
    };
    Err(InvalidValue { what: "Money", why })
}

/// The same amount with a point for a comma that can only stand before decimals: before the last one or two digits. Points before
/// it part thousands.
fn with_point(text: &str) -> Option<String> {
    let (whole, decimals) = text.split_once(',')?;
    let groups: Vec<&str> = whole.split('.').collect();
    let (first, thousands) = groups.split_first()?;
    let mut parts = groups.iter().chain([&decimals]);
    let is_amount = matches!(decimals.len(), 1 | 2)
        && !first.is_empty()
        && (thousands.is_empty() || first.len() <= 3)
        && thousands.iter().all(|group| group.len() == 3)
        && parts.all(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
    is_amount.then(|| format!("{}.{decimals}", groups.concat()))
}

fn units(text: &str) -> Result<Quantity, InvalidValue> {
    let wrong = format!("{text:?} is not a whole number of units");
    let units = text.parse::<i64>().map_err(|_| InvalidValue { what: "Quantity", why: wrong });
    units.and_then(Quantity::new)
}

/// Why a product would refuse this, if it would in any case.
fn refused(command: ProductCommand) -> Option<String> {
    let refused = verdict(&ProductId(Uuid::nil()), &Product::default(), command).err();
    refused.map(|refusal| refusal.detail)
}

/// The text of a file.
pub(super) fn text(bytes: &[u8]) -> anyhow::Result<&str> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        let line = ends(before) + 1;
        anyhow::anyhow!("line {line}: the file is not UTF-8; save it as \"CSV UTF-8\"")
    });
    // Some programs begin a file with a mark of its encoding.
    text.map(|text| text.strip_prefix('\u{feff}').unwrap_or(text)).context("nothing was written")
}

#[cfg(test)]
mod tests;
