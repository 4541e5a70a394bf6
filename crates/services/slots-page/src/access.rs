//! [`Access`]: whose requests are answered.
//!
//! | against | what is asked for |
//! | --- | --- |
//! | other machines | the server listens on loopback |
//! | a name that somebody has point at loopback (DNS rebinding) | `Host` is the address itself, or `localhost` |
//! | other users of the device | the token |
//! | pages of others in the same browser (CSRF) | the token, which browsers never send by themselves; `Origin` and `Sec-Fetch-Site`, where a browser sends them, are the page's own |

use std::net::SocketAddr;

use updraft_http::RequestHead;

use crate::problem::Problem;

/// Whose requests are answered.
pub(crate) struct Access {
    hosts: [String; 2],
    token: String,
}

impl Access {
    pub(crate) fn new(address: SocketAddr, token: String) -> Self {
        let hosts = [address.to_string(), format!("localhost:{}", address.port())];
        Self { hosts, token }
    }

    /// Every request.
    pub(crate) fn check(&self, head: &RequestHead) -> Result<(), Problem> {
        if head.header("host").is_some_and(|host| self.is_own(host)) {
            return Ok(());
        }
        let [address, name] = &self.hosts;
        let detail = format!("this is {address}, and the request is for another host");
        Err(Problem::new(421, "Wrong host", detail).cure(format!("use http://{name}/")))
    }

    /// A request for more than the page itself.
    pub(crate) fn check_api(&self, head: &RequestHead) -> Result<(), Problem> {
        let is_own =
            |origin: &str| origin.strip_prefix("http://").is_some_and(|it| self.is_own(it));
        let is_from_own = head.header("origin").is_none_or(is_own);
        let site = head.header("sec-fetch-site").unwrap_or("none");
        if !is_from_own || !matches!(site, "same-origin" | "none") {
            let detail = "the request comes from another page";
            return Err(Problem::new(403, "Not from this page", detail));
        }
        let given = head.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        let is_right =
            |given: &str| updraft_crypto::is_equal(given.trim().as_bytes(), self.token.as_bytes());
        if given.is_some_and(is_right) {
            return Ok(());
        }
        let detail = "the request has no token, or not the one of this device";
        let cure = format!("the token is in {} in the state folder", crate::TOKEN_FILE);
        Err(Problem::new(401, "Token needed", detail).cure(cure))
    }

    fn is_own(&self, host: &str) -> bool {
        self.hosts.iter().any(|own| own.eq_ignore_ascii_case(host))
    }
}

#[cfg(test)]
mod tests {
    use updraft_http::RequestHead;

    use super::Access;

    fn statuses(headers: &str) -> (Option<u16>, Option<u16>) {
        let access = Access::new("127.0.0.1:8484".parse().unwrap(), "abc".to_owned());
        let text = format!("GET / HTTP/1.1\r\n{headers}\r\n\r\n");
        let head = RequestHead::read(&mut text.as_bytes()).unwrap().unwrap();
        let status = |result: Result<(), crate::problem::Problem>| result.err().map(|it| it.status);
        (status(access.check(&head)), status(access.check_api(&head)))
    }

    #[test]
    fn only_who_calls_it_by_its_address_is_answered() {
        for host in ["127.0.0.1:8484", "localhost:8484", "LOCALHOST:8484"] {
            assert_eq!(statuses(&format!("Host: {host}")).0, None, "{host}");
        }
        for host in ["evil.example:8484", "127.0.0.1", "localhost:80", "127.0.0.1:8484.evil", ""] {
            assert_eq!(statuses(&format!("Host: {host}")).0, Some(421), "{host}");
        }
        assert_eq!(statuses("Accept: a").0, Some(421));
    }

    #[test]
    fn only_who_has_the_token_and_comes_from_the_page_is_served() {
        let own = "Host: 127.0.0.1:8484\r\nAuthorization: Bearer abc";
        for more in ["", "\r\nOrigin: http://localhost:8484", "\r\nSec-Fetch-Site: same-origin"] {
            assert_eq!(statuses(&format!("{own}{more}")).1, None, "{more}");
        }
        for more in [
            "\r\nOrigin: https://127.0.0.1:8484",
            "\r\nOrigin: null",
            "\r\nOrigin: http://evil.example",
            "\r\nSec-Fetch-Site: cross-site",
            "\r\nSec-Fetch-Site: same-site",
        ] {
            assert_eq!(statuses(&format!("{own}{more}")).1, Some(403), "{more}");
        }
        for authorization in ["Bearer abd", "Bearer ab", "Bearer ", "Basic abc", "abc"] {
            let headers = format!("Host: 127.0.0.1:8484\r\nAuthorization: {authorization}");
            assert_eq!(statuses(&headers).1, Some(401), "{authorization}");
        }
    }
}
