//! What browsers are told on every page and error, who may read answers from elsewhere, and the name of each request.

use reqwest::{Method, Response, StatusCode};

use crate::support::TestHub;

fn assert_page_headers(answer: &Response) {
    let path = answer.url().path().to_owned();
    let header = |name: &str| {
        let value = answer.headers().get(name);
        let value = value.unwrap_or_else(|| panic!("no {name} on {path}"));
        value.to_str().unwrap().to_owned()
    };
    let policy = header("content-security-policy");
    for part in [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ] {
        assert!(policy.contains(part), "{path}: no {part} in {policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert_eq!(header("referrer-policy"), "same-origin");
    assert!(header("permissions-policy").contains("camera=()"));
    assert_eq!(header("cross-origin-opener-policy"), "same-origin");
    assert_eq!(header("cross-origin-resource-policy"), "same-origin");
    assert_eq!(header("cache-control"), "no-store");
    assert!(!answer.headers().contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn pages_and_errors_tell_browsers_what_they_may_do() {
    let hub = TestHub::start_with(&[("MADE_OPEN_PUBLIC_URL", "https://hub.example")]).await;
    let ask = async |method: Method, path: &str| {
        hub.http
            .request(method, format!("{}{path}", hub.url))
            .header("Accept", "text/html")
            .send()
            .await
            .unwrap()
    };
    for (method, path, status, is_page) in [
        (Method::GET, "/", 200, true),
        (Method::GET, "/first?token=invented", 200, true),
        (Method::GET, "/no/such/page", 404, true),
        (Method::GET, "/%7Bnonsense%7D<script>", 404, true),
        (Method::POST, "/first", 400, false),
        (Method::GET, "/api/nothing", 404, false),
        (Method::GET, "/livez", 200, false),
    ] {
        let answer = ask(method, path).await;
        assert_page_headers(&answer);
        assert!(
            answer.headers()["strict-transport-security"]
                .to_str()
                .unwrap()
                .starts_with("max-age=31536000")
        );
        let kind = answer.headers().get("content-type").cloned();
        let is_html = kind.is_some_and(|kind| kind.to_str().unwrap().starts_with("text/html"));
        if is_page {
            assert_eq!(answer.status(), status, "{path}");
            assert!(is_html, "{path}");
            let page = answer.text().await.unwrap();
            assert!(!page.contains("<script"), "{page}");
            assert!(
                !page.contains("style="),
                "no style in the page itself: {page}"
            );
        } else {
            assert!(!is_html, "{path}");
        }
    }
    let plain = TestHub::start().await;
    let answer = plain.get("/").await;
    assert!(!answer.headers().contains_key("strict-transport-security"));
}

#[tokio::test]
async fn apps_of_other_origins_may_read_tables_and_accounts_but_bring_no_cookies() {
    let hub = TestHub::start().await;
    let ask = async |method: Method, path: &str| {
        hub.http
            .request(method, format!("{}{path}", hub.url))
            .header("Origin", "https://app.example")
            .header("Access-Control-Request-Method", "POST")
            .header(
                "Access-Control-Request-Headers",
                "x-client-info, idempotency-key",
            )
            .send()
            .await
            .unwrap()
    };
    for path in [
        "/rest/v1/persons",
        "/auth/v1/token",
        "/rest/v1/rpc/kinds_list",
    ] {
        let preflight = ask(Method::OPTIONS, path).await;
        assert_eq!(preflight.status(), StatusCode::NO_CONTENT);
        let headers = preflight.headers();
        assert_eq!(headers["access-control-allow-origin"], "*");
        assert_eq!(
            headers["access-control-allow-headers"],
            "x-client-info, idempotency-key"
        );
        assert_eq!(headers["vary"], "Access-Control-Request-Headers");
        let answer = ask(Method::GET, path).await;
        assert_eq!(answer.headers()["access-control-allow-origin"], "*");
        let exposed = answer.headers()["access-control-expose-headers"]
            .to_str()
            .unwrap();
        assert!(exposed.contains("RateLimit-Remaining") && exposed.contains("X-Request-Id"));
        for answer in [&preflight, &answer] {
            assert!(
                !answer
                    .headers()
                    .contains_key("access-control-allow-credentials")
            );
        }
    }
    for path in ["/", "/first", "/api/kinds", "/restaurant", "/metrics"] {
        for method in [Method::OPTIONS, Method::GET] {
            let answer = ask(method, path).await;
            assert!(
                !answer.headers().contains_key("access-control-allow-origin"),
                "{path}"
            );
        }
    }
}

#[tokio::test]
async fn a_request_has_one_name_which_only_our_proxy_may_give() {
    let behind = TestHub::start_with(&[("MADE_OPEN_TRUSTED_PROXIES", "127.0.0.0/8, ::1")]).await;
    let alone = TestHub::start().await;
    let named = async |hub: &TestHub, id: &str, path: &str| {
        let answer = hub
            .http
            .get(format!("{}{path}", hub.url))
            .header("X-Request-Id", id)
            .send()
            .await
            .unwrap();
        let ids: Vec<_> = answer.headers().get_all("x-request-id").iter().collect();
        assert_eq!(ids.len(), 1);
        ids[0].to_str().unwrap().to_owned()
    };
    for path in ["/livez", "/rest/v1/nothing", "/auth/v1/user", "/nowhere"] {
        assert_eq!(named(&behind, "edge-1.a_b", path).await, "edge-1.a_b");
        let made = named(&alone, "edge-1.a_b", path).await;
        assert!(uuid::Uuid::try_parse(&made).is_ok(), "{made}");
    }
    for nonsense in ["a b", "a\"b", &"x".repeat(200), "<b>"] {
        let made = named(&behind, nonsense, "/livez").await;
        assert!(uuid::Uuid::try_parse(&made).is_ok(), "{made}");
    }
}
