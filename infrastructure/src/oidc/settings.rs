//! Which issuer is believed, and as whom its tokens have to address this server.

use std::net::IpAddr;

use reqwest::Url;

/// The issuer whose access tokens are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OidcSettings {
    /// What tokens call it, to the letter; its discovery document lies below it.
    pub issuer: String,
    /// What tokens call this server.
    pub audience: String,
}

impl OidcSettings {
    /// Fails with the reason if keys that are found at this address could be anybody's.
    pub fn new(issuer: &str, audience: &str) -> Result<Self, String> {
        let url = Url::parse(issuer).map_err(|error| error.to_string())?;
        if !is_safe(&url) {
            let why = "it must begin with https://, or with http:// and be on this machine, and name no user";
            return Err(why.to_owned());
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("it must have neither ? nor #".to_owned());
        }
        Ok(Self { issuer: issuer.to_owned(), audience: audience.to_owned() })
    }

    /// What the issuer is asked with: it follows nobody elsewhere, and takes no proxy between where it speaks in the clear.
    /// Either could show keys of its own.
    pub fn http_client(&self) -> Result<reqwest::Client, reqwest::Error> {
        // An error says that a provider is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("onhand/", env!("CARGO_PKG_VERSION")));
        if is_https(&self.issuer) { builder.build() } else { builder.no_proxy().build() }
    }
}

/// Whether an issuer's keys may lie at this address: it is as safe as the issuer's own.
pub(super) fn may_lie_at(issuer: &str, keys: &str) -> bool {
    Url::parse(keys).is_ok_and(|url| is_safe(&url)) && (is_https(keys) || !is_https(issuer))
}

fn is_https(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| url.scheme() == "https")
}

/// Whether nobody on the way can answer in the place of whoever is asked there.
fn is_safe(url: &Url) -> bool {
    let is_here = |host: &str| {
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    };
    let is_nobody = url.username().is_empty() && url.password().is_none();
    is_nobody
        && match url.scheme() {
            "https" => url.has_host(),
            "http" => url.host_str().is_some_and(is_here),
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_is_asked_over_https_or_on_this_machine() {
        for right in [
            "https://id.example",
            "https://id.example/realms/shop/",
            "http://127.0.0.1:8080",
            "http://[::1]:8080/realms/shop",
            "http://localhost:8080",
        ] {
            let settings = OidcSettings::new(right, "onhand").expect(right);
            assert_eq!(settings.issuer, right);
        }
        for wrong in [
            "id.example",
            "http://id.example",
            "http://localhost.example",
            "http://192.168.0.1",
            "https://me:hush@id.example",
            "https://id.example/?realm=shop",
            "https://id.example/#shop",
            "ftp://id.example",
        ] {
            assert!(OidcSettings::new(wrong, "onhand").is_err(), "{wrong}");
        }
    }

    #[test]
    fn keys_lie_where_it_is_as_safe_as_at_the_issuer() {
        let (far, here) = ("https://id.example", "http://localhost:8080");
        for (issuer, keys, may) in [
            (far, "https://keys.example/jwks?v=1", true),
            (far, "http://id.example/jwks", false),
            (far, "http://127.0.0.1:8080/jwks", false),
            (far, "https://me:hush@id.example/jwks", false),
            (far, "/jwks", false),
            (here, "http://127.0.0.1:8080/jwks", true),
            (here, "https://id.example/jwks", true),
            (here, "http://id.example/jwks", false),
        ] {
            assert_eq!(may_lie_at(issuer, keys), may, "{issuer} {keys}");
        }
    }
}
