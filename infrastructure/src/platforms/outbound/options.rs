//! What sets a product's variants apart, for platforms where each variant has a value of each of the product's options.

use std::collections::BTreeSet;

use super::{CallError, VariantAsk};

/// The option by which variants are told apart that nothing else does.
const LAST: &str = "SKU";

/// The names of a product's options, so many at most; none for a product that is sold as it is.
pub(in super::super) fn names(variants: &[VariantAsk], most: usize) -> Vec<String> {
    let known: BTreeSet<&str> =
        variants.iter().flat_map(|variant| variant.attributes.keys().map(String::as_str)).collect();
    if known.is_empty() && variants.len() < 2 {
        return vec![];
    }
    let names: Vec<String> = known.into_iter().take(most).map(capitalised).collect();
    let of_each = |variant: &VariantAsk| -> Vec<String> {
        names.iter().map(|name| value(variant, name).to_owned()).collect()
    };
    let apart: BTreeSet<Vec<String>> = variants.iter().map(of_each).collect();
    if apart.len() == variants.len() { names } else { vec![LAST.to_owned()] }
}

/// A variant's value of an option. Where it has none that is its SKU, which is no other variant's.
pub(in super::super) fn value<'v>(variant: &'v VariantAsk, name: &str) -> &'v str {
    known(variant, name).unwrap_or(variant.sku.as_str())
}

/// Refuses variants without a value of one of the options that somebody else has given a product: customers read what stands
/// there, and a SKU is not meant for them.
pub(in super::super) fn check<'v>(
    variants: impl IntoIterator<Item = &'v VariantAsk>,
    names: &[String],
) -> Result<(), CallError> {
    for variant in variants {
        if let Some(name) = names.iter().find(|name| known(variant, name).is_none()) {
            let why = format!(
                "the product there has the option {name}, of which {} has no value; \
                 give it one, or add the variant in the shop",
                variant.sku
            );
            return Err(CallError::never(why));
        }
    }
    Ok(())
}

fn known<'v>(variant: &'v VariantAsk, name: &str) -> Option<&'v str> {
    let name = name.trim();
    let named = variant.attributes.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    let named = named.map(|(_, value)| value.as_str());
    named.or_else(|| name.eq_ignore_ascii_case(LAST).then(|| variant.sku.as_str()))
}

/// As shops write the names of options; told back, they are written small.
fn capitalised(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use onhand_domain::values::Sku;

    use super::*;

    fn variant(sku: &str, attributes: &[(&str, &str)]) -> VariantAsk {
        let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let sku = Sku::new(sku).expect("a SKU");
        VariantAsk { sku, attributes: attributes.collect(), price: None, there: None, was: None }
    }

    #[test]
    fn what_sets_variants_apart_are_their_attributes_as_far_as_they_do() {
        let sized = [variant("A", &[("size", "41")]), variant("B", &[("size", "42"), ("colour", "Sand")])];
        assert_eq!(names(&sized, 3), ["Colour", "Size"]);
        assert_eq!([value(&sized[0], "Size"), value(&sized[0], "Colour")], ["41", "A"]);
        assert_eq!(names(&sized[..1], 3), ["Size"]);
        assert!(names(&[variant("A", &[])], 3).is_empty(), "it is sold as it is");
        for alike in [[("size", "41")].as_slice(), &[]] {
            let variants = [variant("A", alike), variant("B", alike)];
            assert_eq!(names(&variants, 3), ["SKU"]);
            assert_eq!(value(&variants[1], "SKU"), "B");
        }
        let many =
            [variant("A", &[("a", "1"), ("b", "1"), ("c", "1")]), variant("B", &[("a", "1"), ("c", "2")])];
        assert_eq!(names(&many, 2), ["A", "B"], "where one is missing, the SKU stands");
        assert_eq!(names(&many, 1), ["SKU"]);
    }

    #[test]
    fn a_sku_is_no_value_of_an_option_that_is_somebody_elses() {
        let sized = [variant("A", &[("size", "41")]), variant("B", &[("size", "42"), ("colour", "Sand")])];
        let check = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            check(&sized, &names)
        };
        assert_eq!(check(&["Size"]), Ok(()));
        assert_eq!(check(&[" size", "SKU"]), Ok(()), "what is called so has SKUs");
        let refused = check(&["Size", "Colour"]);
        let told = |why: &str| why.contains("Colour") && why.contains('A');
        assert!(matches!(&refused, Err(CallError::Never { why }) if told(why)), "{refused:?}");
    }
}
