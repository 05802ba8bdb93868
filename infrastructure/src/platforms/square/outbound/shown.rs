//! Reading back what Square shows: prices from the catalogue, units from the counts.

use std::collections::{BTreeMap, BTreeSet};

use onhand_domain::values::ExternalId;
use serde_json::Value;

use super::{
    super::super::outbound::{Api, CallError, Handle, Shown},
    AT_ONCE, catalog, checked,
    counts::counts,
};

/// What is shown of each. What is in the catalogue and was never counted has a price and no quantity.
pub(in super::super) async fn read(api: &Api, handles: &[Handle]) -> Vec<Result<Shown, CallError>> {
    let location = match super::location(api) {
        Ok(location) => location,
        Err(error) => return handles.iter().map(|_| Err(error.clone())).collect(),
    };
    let mut shown = Vec::with_capacity(handles.len());
    for handles in handles.chunks(AT_ONCE) {
        let variants = ids(handles, |handle| &handle.variant);
        let objects = catalog::variations(api, variants, CallError::of_none).await;
        let counted = ids(handles, counted);
        let counts =
            if counted.is_empty() { Ok(BTreeMap::new()) } else { counts(api, location, &counted).await };
        let counts = counts.map_err(CallError::of_none);
        shown.extend(handles.iter().map(|handle| one(api, handle, &objects, &counts)));
    }
    shown
}

/// What stock is counted of.
fn counted(handle: &Handle) -> &ExternalId {
    handle.inventory.as_ref().unwrap_or(&handle.variant)
}

/// The ids that may be asked for, each once.
fn ids(handles: &[Handle], which: fn(&Handle) -> &ExternalId) -> Vec<&str> {
    let known = handles.iter().filter(|handle| usable(handle).is_ok());
    known.map(|handle| which(handle).as_str()).collect::<BTreeSet<_>>().into_iter().collect()
}

fn usable(handle: &Handle) -> Result<(), CallError> {
    checked(&handle.variant, "a variation")?;
    checked(counted(handle), "a variation")?;
    Ok(())
}

fn one(
    api: &Api,
    handle: &Handle,
    objects: &BTreeMap<String, Result<Value, CallError>>,
    counts: &Result<BTreeMap<String, i64>, CallError>,
) -> Result<Shown, CallError> {
    usable(handle)?;
    let object = match objects.get(handle.variant.as_str()) {
        Some(Ok(object)) => object,
        Some(Err(error)) => return Err(error.clone()),
        None => return Err(CallError::failed("Square's answer does not tell of it")),
    };
    let counts = counts.as_ref().map_err(CallError::clone)?;
    let place = api.details().platform_location.as_ref().map(ExternalId::as_str);
    Ok(Shown {
        quantity: counts.get(counted(handle).as_str()).copied(),
        price: catalog::price(object, place, api.details().currency),
    })
}
