//! Who shows an API key or an access token, and with what right: the two are one from here on.

use onhand_domain::{key::Role, values::TenantId};

/// Who shows a key or a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bearer {
    /// Whose data.
    pub tenant: TenantId,
    /// Who it is, as entries say: `key:<id>`, or `oidc:<subject>`.
    pub actor: String,
    /// What it may do.
    pub role: Role,
    /// The only brand it sees, if it is bound to one.
    pub brand: Option<String>,
}
