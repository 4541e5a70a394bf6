//! Files: who may have them, whole and in parts.

use serde_json::json;

use super::Hawkbit;

#[test]
fn a_device_has_the_files_of_what_it_is_told_and_of_what_it_runs() {
    let hawkbit = Hawkbit::new();
    hawkbit.poll("d1");
    let (first, module) = hawkbit.make_set("1", b"content");
    let (second, other) = hawkbit.make_set("2", b"other");
    let list = |module: i64| {
        hawkbit.ddi("d1", &format!("/softwaremodules/{module}/artifacts"), &[]).status
    };
    let file = |module: i64| {
        hawkbit.ddi("d1", &format!("/softwaremodules/{module}/artifacts/update.bin"), &[]).status
    };
    assert_eq!((list(module), file(module)), (404, 404));
    let action = hawkbit.assign(first, "d1", &json!({}));
    assert_eq!((list(module), file(module), file(other)), (200, 200, 404));
    hawkbit.feedback("d1", action, "closed", "success").expect(200);
    assert_eq!((list(module), file(module)), (200, 200));
    let action = hawkbit.assign(second, "d1", &json!({}));
    hawkbit.feedback("d1", action, "closed", "success").expect(200);
    assert_eq!((file(module), file(other)), (404, 200));
    let at = format!("/softwaremodules/{other}/artifacts");
    let sum = hawkbit.ddi("d1", &format!("{at}/update.bin.MD5SUM"), &[]).expect(200);
    assert_eq!(String::from_utf8_lossy(&sum.body), "795f3202b17cb6bc3d4b771d8c6c9eaf  update.bin");
    assert_eq!(sum.header("content-disposition"), Some("attachment;filename=update.bin.MD5SUM"));
    assert_eq!(hawkbit.ddi("d1", &format!("{at}/none.bin"), &[]).status, 404);
    assert_eq!(hawkbit.ddi("d1", &format!("{at}/..%2F..%2Fdatabase"), &[]).status, 404);
    let head = hawkbit.ddi("d1", &format!("{at}/update.bin"), &["--head"]).expect(200);
    assert_eq!(head.header("content-length"), Some("5"));
}

#[test]
fn files_come_in_parts() {
    download_in_parts(&Hawkbit::new());
}

pub(crate) fn download_in_parts(hawkbit: &Hawkbit) {
    hawkbit.poll("d1");
    let content: Vec<u8> =
        (0..1_000_003_u32).map(|n| u8::try_from(n % 251).expect("small")).collect();
    let (set, module) = hawkbit.make_set("1", &content);
    let action = hawkbit.assign(set, "d1", &json!({}));
    let at = format!("/softwaremodules/{module}/artifacts/update.bin");
    let get = |headers: &[&str]| {
        let arguments: Vec<&str> = headers.iter().flat_map(|header| ["-H", *header]).collect();
        hawkbit.ddi("d1", &at, &arguments)
    };
    let whole = get(&[]).expect(200);
    assert_eq!(whole.body, content);
    assert_eq!(whole.header("accept-ranges"), Some("bytes"));
    assert_eq!(whole.header("content-disposition"), Some("attachment;filename=update.bin"));
    let tag = whole.header("etag").expect("a tag").to_owned();
    let date = whole.header("last-modified").expect("a date").to_owned();
    let mut parts = Vec::new();
    for chunk in 0..50_usize {
        let (first, last) = (chunk * 20_001, chunk * 20_001 + 20_000);
        let part = get(&[&format!("Range: bytes={first}-{last}")]).expect(206);
        let end = (last + 1).min(content.len()) - 1;
        assert_eq!(
            part.header("content-range"),
            Some(format!("bytes {first}-{end}/1000003").as_str())
        );
        parts.extend(part.body);
    }
    assert!(parts == content);
    assert_eq!(get(&["Range: bytes=-10"]).expect(206).body, content[999_993..]);
    assert_eq!(get(&["Range: bytes=999999-"]).expect(206).body, content[999_999..]);
    for wrong in ["1000003-", "100-10"] {
        let refused = get(&[&format!("Range: bytes={wrong}")]).expect(416);
        assert_eq!(refused.header("content-range"), Some("bytes */1000003"));
    }
    let several = get(&["Range: bytes=0-9,500000-500009"]).expect(206);
    let kind = several.header("content-type").expect("a type").to_owned();
    let boundary = kind.strip_prefix("multipart/byteranges; boundary=").expect("a boundary");
    let mut expect = Vec::new();
    for (first, last) in [(0, 9), (500_000, 500_009)] {
        expect.extend(format!("\r\n--{boundary}\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes {first}-{last}/1000003\r\n\r\n").bytes());
        expect.extend_from_slice(&content[first..=last]);
    }
    expect.extend(format!("\r\n--{boundary}--\r\n").bytes());
    assert!(several.body == expect);
    assert_eq!(get(&["If-Match: \"other\""]).status, 412);
    assert_eq!(get(&[&format!("If-Match: {tag}"), "Range: bytes=0-0"]).status, 206);
    assert_eq!(get(&["If-Range: \"other\"", "Range: bytes=0-0"]).status, 200);
    assert_eq!(get(&[&format!("If-Range: {tag}"), "Range: bytes=0-0"]).status, 206);
    assert_eq!(get(&[&format!("If-Range: {date}"), "Range: bytes=0-0"]).status, 206);
    // Parts are not noted, wholes once.
    assert_eq!(hawkbit.reports("d1", action), ["running", "download"]);
}

#[test]
fn a_large_file_is_the_same_however_it_is_sent() {
    let hawkbit = Hawkbit::new();
    hawkbit.poll("d1");
    let content: Vec<u8> =
        (0..5_000_011_u32).map(|n| u8::try_from((n ^ (n >> 7)) % 251).expect("small")).collect();
    let (set, module) = hawkbit.make_set("1", &content);
    hawkbit.assign(set, "d1", &json!({}));
    let at = format!("/softwaremodules/{module}/artifacts/update.bin");
    let whole = hawkbit.ddi("d1", &at, &[]).expect(200);
    assert!(whole.body == content, "plain: {} bytes", whole.body.len());
    let part = hawkbit.ddi("d1", &at, &["-H", "Range: bytes=1000000-4000000"]).expect(206);
    assert!(part.body == content[1_000_000..=4_000_000], "a part of it");
    let head = hawkbit.ddi("d1", &at, &["--head"]).expect(200);
    assert_eq!(head.header("content-length"), Some("5000011"));

    // One connection goes on after a file was sent, and after somebody who wants no more of it.
    let client =
        updraft_http::Client::new(&updraft_http::ClientOptions::default()).expect("client");
    let path = format!("/default/controller/v1/d1{at}");
    let get = |url: String| {
        let request = updraft_http::Request::new(updraft_http::Method::Get, url)
            .header("Authorization", "GatewayToken gateway-secret");
        crate::world::ask(&client, request)
    };
    for _ in 0..3 {
        let again = get(hawkbit.world.plain_url(&path)).expect(200);
        assert!(again.body == content, "kept: {} bytes", again.body.len());
        get(hawkbit.world.plain_url("/default/controller/v1/d1")).expect(200);
    }
    let stopped = std::process::Command::new("curl")
        .args(["--silent", "--max-filesize", "1000", "-o", "/dev/null"])
        .args(["-H", "Authorization: GatewayToken gateway-secret"])
        .arg(hawkbit.world.plain_url(&path))
        .status()
        .expect("curl");
    assert!(!stopped.success(), "it did not want it");

    // Encrypted: HTTP/2, and HTTP/1.1.
    for version in ["--http2", "--http1.1"] {
        let authority = hawkbit.world.layout.ca_certificate();
        let output = std::process::Command::new("curl")
            .args(["--silent", "--show-error", "--fail", version, "--cacert"])
            .arg(authority)
            .args(["-H", "Authorization: GatewayToken gateway-secret"])
            .arg(hawkbit.world.url(&path))
            .output()
            .expect("curl");
        assert!(output.stdout == content, "{version}: {} bytes", output.stdout.len());
    }
}
