//! `onhand import`: what a seller has in a spreadsheet when starting, taken in by the same operations as over REST.

mod sheet;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    ffi::OsStr,
    fmt::Display,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, bail, ensure};
use chrono::{DateTime, SecondsFormat, Utc};
use futures_util::future::join_all;
use indicatif::ProgressBar;
use onhand_domain::{
    Refusal,
    product::{VARIANTS_MAX, VariantDetails},
    stock::occurred,
    values::{ProductId, Quantity, Sku, TenantId},
};
use onhand_infrastructure::{
    ledger::{Context, Head, Idempotency, LedgerError},
    operations::{
        Caller,
        products::{ProductDraft, VariantDraft},
        stock::{BULK_MAX, ShelfChange, StockChange},
    },
    queries::products::{NamedVariant, of_skus},
};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use self::sheet::{Family, Problems, Row, Sheet, Variant};
use super::{
    audit::document::shown,
    bars,
    session::{Aim, Session},
};

/// The largest file.
const BYTES_MAX: usize = 64_000_000;
/// SKUs that are looked up in one query.
const SKUS_AT_ONCE: usize = 10_000;
/// Products on their way at the same time: there is no operation that takes many of them.
const PRODUCTS_ABREAST: usize = 16;
/// Of a file's name that is noted with each count.
const NAME_CHARS_MAX: usize = 200;

/// What is brought in.
#[derive(clap::Args)]
pub(super) struct Args {
    /// A CSV file with a line of column names first; `-` is standard input.
    file: PathBuf,
    /// Into whose ledger; need not be said where there is one tenant only.
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// When the units were counted; now, unless it is said. What has moved since comes on top.
    #[arg(long, value_name = "TIME", value_parser = time)]
    counted_at: Option<DateTime<Utc>>,
    /// Only check the file, and say what would be made and counted.
    #[arg(long)]
    dry_run: bool,
}

fn time(text: &str) -> Result<DateTime<Utc>, String> {
    let time = DateTime::parse_from_rfc3339(text).map(|time| time.to_utc());
    time.map_err(|_| "a time such as 2026-01-02T03:04:05Z is expected".to_owned())
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let bytes = read(&args.file).with_context(|| format!("{} cannot be read", args.file.display()))?;
    let sheet = Sheet::read(sheet::text(&bytes)?)?;
    let digest = digest(&bytes, args.counted_at);
    let aim = if args.dry_run { Aim::Read } else { Aim::Write };
    let outcome = Session::to(aim, async |session| import(session, &args, &sheet, digest).await).await?;
    if args.dry_run {
        println!("The file is sound. Nothing was written; at most this would be made and counted:");
    }
    outcome.tell();
    Ok(if outcome.refused.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let source: Box<dyn Read> =
        if file == Path::new("-") { Box::new(io::stdin()) } else { Box::new(File::open(file)?) };
    let mut bytes = vec![];
    source.take(BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    ensure!(bytes.len() <= BYTES_MAX, "it has more than {BYTES_MAX} bytes; split it");
    Ok(bytes)
}

/// What the same file with the same time is known by when it comes again.
fn digest(bytes: &[u8], counted_at: Option<DateTime<Utc>>) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(format!("{counted_at:?}\n"));
    hash.update(bytes);
    hash.finalize().into()
}

async fn import(session: &Session, args: &Args, sheet: &Sheet, digest: [u8; 32]) -> anyhow::Result<Outcome> {
    let tenant = tenant(session, args).await?;
    let now = session.onhand.ledger().clock().now();
    let counted_at = occurred(args.counted_at, now).context("--counted-at cannot be used")?;
    let known = known(session, tenant, sheet).await?;
    let kept = kept(sheet, &known);
    let plans = plans(sheet, &known)?;
    let counts: Vec<_> = sheet.rows.iter().filter_map(|row| Some((row, row.counted?))).collect();
    if args.dry_run {
        let mut made = Made::default();
        plans.iter().for_each(|plan| made.note(plan, None));
        return Ok(Outcome { counted: counts.len(), kept, ..Outcome::of(sheet, &made) });
    }
    let mut import = Import {
        session,
        caller: Caller::new(Context::internal(tenant, "cli")),
        counted_at,
        digest,
        source: source(&args.file),
        before: Head::read(&mut *session.onhand.pool().acquire().await?, tenant).await?.position,
        bar: bars::bar("import".to_owned()),
    };
    if args.counted_at.is_none() && !counts.is_empty() {
        // A file that comes again is as of the moment when it came first: what was sold meanwhile is not back on the shelf.
        import.counted_at = session.onhand.operations.first_at(import.with_key(&"begun"), counted_at).await?;
        let at = exact(import.counted_at);
        eprintln!("Counts are as of {at}. If not all is taken in, go on with --counted-at {at}");
    }
    import.bar.set_length((plans.len() + counts.len()) as u64);
    let outcome = import.write(sheet, &plans, &counts).await;
    import.bar.finish_and_clear();
    let broken = || format!("the import broke off; what was done stays. {}", again(import.counted_at));
    Ok(Outcome { kept, ..outcome.with_context(broken)? })
}

/// What to do about lines that were not taken in. As of another moment, what was sold meanwhile would be back on the shelf.
fn again(counted_at: DateTime<Utc>) -> String {
    let counted_at = exact(counted_at);
    format!("Bring the file in again, mended where it has to be, with --counted-at {counted_at}")
}

fn exact(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

async fn tenant(session: &Session, args: &Args) -> anyhow::Result<TenantId> {
    let tenants = session.tenants(args.tenant.as_deref()).await?;
    let [(tenant, _)] = tenants.as_slice() else {
        bail!("there are {} tenants; say which with --tenant", tenants.len());
    };
    Ok(*tenant)
}

/// What is said to have counted, without the folders it lies in.
fn source(file: &Path) -> String {
    let name = file.file_name().filter(|name| *name != "-").unwrap_or(OsStr::new("stdin"));
    shown(&name.to_string_lossy()).chars().take(NAME_CHARS_MAX).collect()
}

/// What the SKUs of a file name already.
async fn known(
    session: &Session,
    tenant: TenantId,
    sheet: &Sheet,
) -> anyhow::Result<HashMap<String, NamedVariant>> {
    let skus: Vec<&str> = sheet.variants.keys().map(Sku::as_str).collect();
    let mut known = HashMap::new();
    for skus in skus.chunks(SKUS_AT_ONCE) {
        let found = of_skus(session.onhand.pool(), tenant, skus).await?;
        known.extend(found.into_iter().map(|named| (named.sku.clone(), named)));
    }
    Ok(known)
}

/// How many variants are there already of which a file says more than counts: that is not taken in.
fn kept(sheet: &Sheet, known: &HashMap<String, NamedVariant>) -> usize {
    let there = sheet.variants.iter().filter(|(sku, _)| known.contains_key(sku.as_str()));
    there.filter(|(_, variant)| variant.is_described()).count()
}

/// A product to be made, or one that gets more variants.
struct Plan<'s> {
    /// None where it is to be made.
    product: Option<ProductId>,
    family: &'s Family,
    variants: Vec<(&'s Sku, &'s Variant)>,
}

/// What has to be made for a file: only what is not there. New variants join the product that has others of their family.
fn plans<'s>(sheet: &'s Sheet, known: &HashMap<String, NamedVariant>) -> anyhow::Result<Vec<Plan<'s>>> {
    let mut problems = Problems::default();
    let mut families: BTreeMap<&Family, Vec<(&Sku, &Variant)>> = BTreeMap::new();
    let mut homes: BTreeMap<&Family, BTreeSet<ProductId>> = BTreeMap::new();
    for (sku, variant) in &sheet.variants {
        match (known.get(sku.as_str()), &variant.family) {
            (None, None) => {
                let why = format!("it is empty, and no variant has the SKU {sku} yet");
                problems.add(variant.line, &"product", &why);
            }
            (None, Some(family)) => families.entry(family).or_default().push((sku, variant)),
            (Some(named), Some(family)) if named.brand == family.brand => {
                homes.entry(family).or_default().insert(named.product);
            }
            // Under another brand it stands for itself.
            (Some(_), _) => {}
        }
    }
    let mut plans = Vec::with_capacity(families.len());
    for (family, variants) in families {
        let homes = homes.remove(family).unwrap_or_default();
        if let Some((_, variant)) = variants.get(VARIANTS_MAX) {
            let why = format!("a product has at most {VARIANTS_MAX} variants");
            problems.add(variant.line, &"product", &why);
        }
        if let [(_, variant), ..] = variants.as_slice()
            && homes.len() > 1
        {
            let why = format!("its SKUs stand in {} products already, so it is not known which", homes.len());
            problems.add(variant.line, &"product", &why);
        }
        plans.push(Plan { product: homes.first().copied(), family, variants });
    }
    problems.check()?;
    Ok(plans)
}

impl Plan<'_> {
    /// Gives why it is refused, if it is.
    async fn make(&self, session: &Session, caller: Caller) -> Result<Option<Refusal>, LedgerError> {
        let operations = &session.onhand.operations;
        let variants = self.variants.iter().map(|(sku, variant)| VariantDraft {
            id: None,
            details: VariantDetails { sku: Sku::clone(sku), attributes: variant.attributes.clone() },
            prices: variant.prices.clone(),
        });
        let variants = variants.collect();
        let made = match self.product {
            Some(product) => operations.put_variants(caller, product, variants).await,
            None => {
                let draft = ProductDraft { details: self.family.details(), variants };
                operations.create_product(caller, draft).await
            }
        };
        match made {
            Ok(_) => Ok(None),
            Err(LedgerError::Refused(refusal) | LedgerError::RefusedBefore(refusal)) => Ok(Some(refusal)),
            Err(error) => Err(error),
        }
    }
}

/// What was made, and what was not.
#[derive(Default)]
struct Made<'s> {
    products: usize,
    skus: HashSet<&'s Sku>,
    refused: HashMap<&'s Sku, Refusal>,
}

impl<'s> Made<'s> {
    fn note(&mut self, plan: &Plan<'s>, refusal: Option<&Refusal>) {
        let skus = plan.variants.iter().map(|(sku, _)| *sku);
        if let Some(refusal) = refusal {
            self.refused.extend(skus.map(|sku| (sku, refusal.clone())));
        } else {
            self.products += usize::from(plan.product.is_none());
            self.skus.extend(skus);
        }
    }
}

/// An import that is under way.
struct Import<'a> {
    session: &'a Session,
    caller: Caller,
    counted_at: DateTime<Utc>,
    digest: [u8; 32],
    /// What is said to have counted.
    source: String,
    /// Where the ledger ended when it began.
    before: i64,
    bar: ProgressBar,
}

/// What became of one count, as [`onhand_infrastructure::operations::stock::Outcomes`] has it.
#[derive(Deserialize)]
struct Counted {
    status: String,
    detail: Option<String>,
    position: Option<i64>,
    covered: Option<String>,
}

impl Import<'_> {
    /// Products first: what is counted has to be there.
    async fn write(
        &self,
        sheet: &Sheet,
        plans: &[Plan<'_>],
        counts: &[(&Row, Quantity)],
    ) -> anyhow::Result<Outcome> {
        let mut made = Made::default();
        for abreast in plans.chunks(PRODUCTS_ABREAST) {
            let each = abreast.iter().map(|plan| plan.make(self.session, self.caller.clone()));
            for (plan, refused) in abreast.iter().zip(join_all(each).await) {
                made.note(plan, refused?.as_ref());
            }
            self.bar.inc(abreast.len() as u64);
        }
        let mut outcome = Outcome::of(sheet, &made);
        for (number, part) in counts.chunks(BULK_MAX).enumerate() {
            let counted = self.count(number, part, &made).await?;
            part.iter().zip(counted).for_each(|((row, _), counted)| outcome.note(row, counted, self.before));
            self.bar.inc(part.len() as u64);
        }
        outcome.refused.sort_by_key(|(line, ..)| *line);
        outcome.again = (!outcome.refused.is_empty()).then(|| again(self.counted_at));
        Ok(outcome)
    }

    /// Takes a part of the counts. Each has a key that follows from the file and its place in it, so that a file that comes again
    /// counts nothing twice. What was refused when it came before is tried anew: what stood in the way may be gone.
    async fn count(
        &self,
        number: usize,
        part: &[(&Row, Quantity)],
        made: &Made<'_>,
    ) -> anyhow::Result<Vec<Counted>> {
        let (mut counted, replayed) = self.take(&self.with_key(&number), part, made).await?;
        let each = counted.iter_mut().zip(part.iter().copied());
        let (places, refused): (Vec<_>, Vec<_>) = each.filter(|(each, _)| each.status == "refused").unzip();
        if replayed && !refused.is_empty() {
            let (anew, _) = self.take(&self.caller, &refused, made).await?;
            places.into_iter().zip(anew).for_each(|(place, anew)| *place = anew);
        }
        Ok(counted)
    }

    /// Somebody who asks with a key that follows from the file.
    fn with_key(&self, part: &dyn Display) -> Caller {
        let key = format!("import/{}/{part}", hex::encode(self.digest));
        let idempotency = Some(Idempotency::new(&self.caller.context.actor, &key, self.digest));
        Caller { idempotency, ..self.caller.clone() }
    }

    /// Gives what became of each count, and whether they had been asked for before.
    async fn take(
        &self,
        caller: &Caller,
        part: &[(&Row, Quantity)],
        made: &Made<'_>,
    ) -> anyhow::Result<(Vec<Counted>, bool)> {
        let changes = part.iter().map(|(row, counted)| match made.refused.get(&row.sku) {
            Some(refusal) => Err(refusal.clone()),
            None => Ok(self.change(row, *counted)),
        });
        let operations = &self.session.onhand.operations;
        let outcomes = operations.change_many(caller, changes.collect::<Vec<_>>().into_iter()).await?;
        let replayed = outcomes.replayed;
        let mut told = serde_json::to_value(outcomes)?;
        Ok((serde_json::from_value(told["rows"].take())?, replayed))
    }

    fn change(&self, row: &Row, counted: Quantity) -> ShelfChange {
        let reference = Some(format!("{}, line {}", self.source, row.line));
        ShelfChange {
            sku: row.sku.clone(),
            location: row.location.clone(),
            change: StockChange::Count { counted, reference },
            occurred_at: Some(self.counted_at),
        }
    }
}

/// What became of a file, or would.
#[derive(Default)]
struct Outcome {
    products: usize,
    variants: usize,
    /// Variants that stay as they are, whatever the file says of them.
    kept: usize,
    counted: usize,
    /// Lines that changed nothing.
    unchanged: usize,
    /// Counts that something later had seen already.
    covered: usize,
    /// Lines that could not be taken in, and why.
    refused: Vec<(usize, Sku, String)>,
    /// What to do if there are such lines.
    again: Option<String>,
}

impl Outcome {
    /// Of a file whose counts are still to come.
    fn of(sheet: &Sheet, made: &Made<'_>) -> Self {
        let (products, variants) = (made.products, made.skus.len());
        let mut outcome = Self { products, variants, ..Self::default() };
        for row in sheet.rows.iter().filter(|row| row.counted.is_none()) {
            match made.refused.get(&row.sku) {
                Some(refusal) => outcome.refuse(row, refusal.detail.clone()),
                None => outcome.unchanged += usize::from(!made.skus.contains(&row.sku)),
            }
        }
        outcome
    }

    fn refuse(&mut self, row: &Row, why: String) {
        self.refused.push((row.line, row.sku.clone(), why));
    }

    /// Takes in what became of a count. One that is answered with a position from before was taken when the file came before.
    fn note(&mut self, row: &Row, counted: Counted, before: i64) {
        let Counted { status, detail, position, covered } = counted;
        if status != "done" {
            self.refuse(row, detail.unwrap_or(status));
        } else if covered.is_some() {
            self.covered += 1;
        } else if position.is_some_and(|position| position > before) {
            self.counted += 1;
        } else {
            self.unchanged += 1;
        }
    }

    fn tell(&self) {
        println!("products made  {}", self.products);
        println!("variants made  {}", self.variants);
        println!("variants kept  {}", self.kept);
        println!("counted        {}", self.counted);
        println!("unchanged      {}", self.unchanged);
        println!("covered        {}", self.covered);
        if self.covered > 0 {
            println!("  a later count, or a figure of a shop, has seen these already; their numbers stay");
        }
        println!("refused        {}", self.refused.len());
        for (line, sku, why) in &self.refused {
            println!("  line {line}, SKU {}: {}", shown(sku.as_str()), shown(why));
        }
        if let Some(again) = &self.again {
            println!("{again}");
        }
    }
}

#[cfg(test)]
mod tests {
    use onhand_domain::values::VariantId;
    use uuid::Uuid;

    use super::*;

    const P: ProductId = ProductId(Uuid::from_u128(1));
    const Q: ProductId = ProductId(Uuid::from_u128(2));

    fn known(named: &[(&str, ProductId, Option<&str>)]) -> HashMap<String, NamedVariant> {
        let variant = VariantId(Uuid::from_u128(9));
        let named = named.iter().map(|(sku, product, brand)| NamedVariant {
            sku: (*sku).to_owned(),
            product: *product,
            variant,
            brand: brand.map(str::to_owned),
        });
        named.map(|named| (named.sku.clone(), named)).collect()
    }

    fn sheet(lines: &str) -> Sheet {
        Sheet::read(&format!("sku,product,brand\n{lines}")).expect("it is sound")
    }

    #[test]
    fn lines_of_one_title_and_brand_are_one_product() {
        let sheet = sheet("A,Runner,kite\nB,Runner,kite\nC,Runner,\nD,Walker,kite\n");
        let plans = plans(&sheet, &known(&[])).expect("nothing is wrong");
        let made: Vec<_> = plans.iter().map(|plan| (plan.product, plan.variants.len())).collect();
        assert_eq!(made, [(None, 1), (None, 2), (None, 1)]);
    }

    #[test]
    fn what_is_there_is_not_made_again_and_new_variants_join_it() {
        let sheet = sheet("A,Runner,kite\nB,Runner,kite\nC,Walker,\nD,,\n");
        let there = known(&[("A", P, Some("kite")), ("C", Q, None), ("D", Q, None)]);
        let plans = plans(&sheet, &there).expect("nothing is wrong");
        let [plan] = plans.as_slice() else { panic!("one product gets more variants") };
        assert_eq!((plan.product, plan.variants.len()), (Some(P), 1));
        assert_eq!(plan.variants[0].0.as_str(), "B");
    }

    #[test]
    fn a_sku_of_another_brand_shows_no_new_variant_the_way() {
        let sheet = sheet("A,Runner,kite\nB,Runner,kite\n");
        let plans = plans(&sheet, &known(&[("A", P, Some("other"))])).expect("nothing is wrong");
        assert_eq!(plans[0].product, None);
    }

    #[test]
    fn what_can_be_made_nowhere_is_told_by_its_line() {
        let wrong = |lines: &str, there: &[(&str, ProductId, Option<&str>)]| {
            plans(&sheet(lines), &known(there)).err().map(|error| error.to_string()).unwrap_or_default()
        };
        assert!(wrong("A,Runner,\nB,,\n", &[]).contains("line 3, column product"));
        let told = wrong("A,Runner,\nB,Runner,\nC,Runner,\n", &[("A", P, None), ("B", Q, None)]);
        assert!(told.contains("line 4, column product") && told.contains("2 products"), "{told}");
        let lines: String = (0..=VARIANTS_MAX).map(|n| format!("S{n},Runner,\n")).collect();
        assert!(wrong(&lines, &[]).contains("at most"));
    }

    #[test]
    fn what_is_said_of_variants_that_are_there_is_told_to_be_left_out() {
        let text = "sku,product,size,price,currency\nA,,,5,EUR\nB,,41,,\nC,Runner,,,\nD,,,,\nE,Runner,,,\n";
        let sheet = Sheet::read(text).expect("it is sound");
        assert_eq!(kept(&sheet, &known(&["A", "B", "C", "D"].map(|sku| (sku, P, None)))), 3);
    }

    #[test]
    fn what_broke_off_goes_on_as_of_the_same_moment() {
        let at = DateTime::from_timestamp_micros(1_772_388_000_000_001).expect("a time");
        let told = again(at);
        let said = told.rsplit(' ').next().expect("a word");
        assert_eq!(time(said), Ok(at));
    }

    #[test]
    fn the_same_file_at_another_time_is_another_import() {
        let at = DateTime::UNIX_EPOCH;
        assert_eq!(digest(b"sku", Some(at)), digest(b"sku", Some(at)));
        assert_ne!(digest(b"sku", Some(at)), digest(b"sku", None));
        assert_ne!(digest(b"sku", None), digest(b"sku\n", None));
    }
}
