//! The real `swupdate` as a device: it polls, downloads, installs and reports.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;

use super::Hawkbit;

/// A poll of swupdate may be as far away as the least polling time, and it takes some of them.
const PATIENCE: Duration = Duration::from_mins(3);

/// Keys and images of one maker.
struct Maker {
    folder: PathBuf,
}

impl Maker {
    fn new(folder: PathBuf) -> Self {
        std::fs::create_dir_all(&folder).expect("folder");
        let this = Self { folder };
        this.run(
            "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 30 \
             -subj /CN=maker -addext extendedKeyUsage=emailProtection \
             -addext keyUsage=digitalSignature 2>/dev/null",
        );
        this
    }

    fn run(&self, script: &str) {
        let status = Command::new("sh").args(["-ec", script]).current_dir(&self.folder).status();
        assert!(status.expect("a shell").success(), "{script}");
    }

    fn certificate(&self) -> PathBuf {
        self.folder.join("cert.pem")
    }

    /// An image that puts `content` into the file `out`.
    fn image(&self, name: &str, content: &[u8], out: &Path) -> Vec<u8> {
        use sha2::Digest as _;
        std::fs::write(self.folder.join("payload.bin"), content).expect("payload");
        let sha256 = hex::encode(sha2::Sha256::digest(content));
        let description = format!(
            "software = {{ version = \"{name}\"; hardware-compatibility: [ \"1.0\" ];\n\
             files: ( {{ filename = \"payload.bin\"; path = \"{}\"; sha256 = \"{sha256}\"; }} ); }}\n",
            out.display()
        );
        std::fs::write(self.folder.join("sw-description"), description).expect("description");
        self.run(
            "openssl cms -sign -in sw-description -out sw-description.sig -signer cert.pem \
             -inkey key.pem -outform DER -nosmimecap -binary\n\
             printf 'sw-description\\nsw-description.sig\\npayload.bin\\n' \
             | cpio -o -H crc > update.swu 2>/dev/null",
        );
        std::fs::read(self.folder.join("update.swu")).expect("an image")
    }
}

/// A running swupdate, which ends with this.
pub(crate) struct Client {
    child: Child,
    log: PathBuf,
}

impl Client {
    fn start(folder: &Path, certificate: &Path, id: &str, url: &str, more: &str) -> Self {
        let run = folder.join(format!("run-{id}"));
        std::fs::create_dir_all(&run).expect("folder");
        let configuration = folder.join(format!("{id}.cfg"));
        let text = format!(
            "globals : {{ public-key-file = \"{}\"; postupdatecmd = \"/bin/true\"; }};\n\
             suricatta : {{ tenant = \"default\"; id = \"{id}\"; url = \"{url}\"; polldelay = 2; \
             retry = 4; retrywait = 1; targettoken = \"{id}-token\"; }};\n\
             identify : ( {{ name = \"hw\"; value = \"rev1\"; }} );\n",
            certificate.display()
        );
        std::fs::write(&configuration, text).expect("configuration");
        let log = folder.join(format!("{id}.log"));
        let output = std::fs::File::options().create(true).append(true).open(&log).expect("log");
        let child = Command::new("swupdate")
            .args(["-l", "5", "-H", "board:1.0", "-f"])
            .arg(&configuration)
            .args(["-u", more])
            .env("TMPDIR", &run)
            .current_dir(&run)
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("log"))
            .stderr(output)
            .process_group(0)
            .spawn()
            .expect("swupdate is installed");
        Self { child, log }
    }

    fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // It has children of its own, in a group with it.
        let group = format!("-{}", self.child.id());
        drop(Command::new("kill").args(["-9", "--", &group]).status());
        drop(self.child.wait());
    }
}

fn wait_until(client: &Client, what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "{what} did not happen:\n{}", client.log());
        std::thread::sleep(Duration::from_millis(300));
    }
}

/// Stands between a device and the server, and cuts off the first answer that is large.
struct CutOff {
    url: String,
    requests: Arc<Mutex<String>>,
}

impl CutOff {
    fn start(server: &str) -> Self {
        let server = server.strip_prefix("http://").expect("plain HTTP").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("address"));
        let requests = Arc::new(Mutex::new(String::new()));
        let has_cut = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&requests);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(upstream) = TcpStream::connect(&server) else { continue };
                let (mut from, mut to) = (
                    client.try_clone().expect("a socket"),
                    upstream.try_clone().expect("a socket"),
                );
                let seen = Arc::clone(&seen);
                std::thread::spawn(move || {
                    let mut buffer = [0_u8; 16 * 1024];
                    while let Ok(count @ 1..) = from.read(&mut buffer) {
                        seen.lock()
                            .expect("lock")
                            .push_str(&String::from_utf8_lossy(&buffer[..count]));
                        if to.write_all(&buffer[..count]).is_err() {
                            break;
                        }
                    }
                });
                let has_cut = Arc::clone(&has_cut);
                std::thread::spawn(move || {
                    let (mut from, mut to) = (upstream, client);
                    let (mut buffer, mut sent) = ([0_u8; 16 * 1024], 0);
                    while let Ok(count @ 1..) = from.read(&mut buffer) {
                        sent += count;
                        if to.write_all(&buffer[..count]).is_err() {
                            break;
                        }
                        if sent > 600_000 && !has_cut.swap(true, Ordering::SeqCst) {
                            break;
                        }
                    }
                    drop(to.shutdown(std::net::Shutdown::Both));
                });
            }
        });
        Self { url, requests }
    }
}

#[test]
fn swupdate_installs_resumes_cancels_refuses_and_reports() {
    let hawkbit = Hawkbit::new();
    hawkbit.configure("pollingTime", &json!("00:00:30"));
    let folder = hawkbit.world.folder.path().join("swupdate");
    let maker = Maker::new(folder.join("maker"));
    let stranger = Maker::new(folder.join("stranger"));
    let url = hawkbit.world.plain_url("");
    for id in ["whole", "cut", "refused", "skips", "stops"] {
        hawkbit.make_target(id);
    }
    let set = |name: &str, image: &[u8]| {
        let module = hawkbit.make_module(name, "update.swu", image);
        hawkbit.make_set_of(name, module, false)
    };
    let out = |id: &str| folder.join(format!("installed-{id}"));
    let large: Vec<u8> =
        (0..3_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let whole = hawkbit.assign(
        set("whole", &maker.image("2", b"new system", &out("whole"))),
        "whole",
        &json!({}),
    );
    let cut = hawkbit.assign(
        set("cut", &maker.image("2", &large, &out("cut"))),
        "cut",
        &json!({ "type": "soft" }),
    );
    let refused = hawkbit.assign(
        set("refused", &stranger.image("2", b"evil", &out("refused"))),
        "refused",
        &json!({}),
    );
    let skips = hawkbit.assign(
        set("skips", &maker.image("2", b"later", &out("skips"))),
        "skips",
        &json!({ "type": "downloadonly" }),
    );
    let stops = hawkbit.assign(
        set("stops", &maker.image("2", b"never", &out("stops"))),
        "stops",
        &json!({}),
    );
    hawkbit.rest("DELETE", &format!("targets/stops/actions/{stops}"), None).expect(204);
    let proxy = CutOff::start(&url);
    let certificate = maker.certificate();
    let start =
        |id: &str, url: &str, more: &str| Client::start(&folder, &certificate, id, url, more);
    let whole_client = start("whole", &url, "-p 2");
    let cut_client = start("cut", &proxy.url, "-p 2");
    let refused_client = start("refused", &url, "-p 2");
    let skips_client = start("skips", &url, "-p 2");
    let stops_client = start("stops", &url, "-p 2");

    wait_until(&stops_client, "the cancellation", || {
        hawkbit.action("stops", stops).2 == "canceled"
    });
    wait_until(&refused_client, "the refusal", || hawkbit.action("refused", refused).2 == "error");
    assert_eq!(hawkbit.target("refused")["updateStatus"], "error");
    assert!(!out("refused").exists());

    wait_until(&whole_client, "the installation", || out("whole").exists());
    assert_eq!(std::fs::read(out("whole")).expect("file"), b"new system");
    let attributes = hawkbit.rest("GET", "targets/whole/attributes", None).expect(200).json();
    assert_eq!(attributes["hw"], "rev1");
    wait_until(&whole_client, "its report", || {
        hawkbit.reports("whole", whole).iter().filter(|kind| *kind == "running").count() >= 3
    });
    // It is not there before the device says so after its restart.
    assert_eq!(hawkbit.action("whole", whole).1, "pending");
    assert_eq!(hawkbit.target("whole")["updateStatus"], "pending");
    drop(whole_client);
    let restarted = start("whole", &url, "-p 2 -c 2");
    wait_until(&restarted, "the report after the restart", || {
        hawkbit.target("whole")["updateStatus"] == "in_sync"
    });
    assert_eq!(hawkbit.action("whole", whole).2, "finished");

    wait_until(&cut_client, "the resumed download", || {
        std::fs::read(out("cut")).is_ok_and(|content| content == large)
    });
    let requests = proxy.requests.lock().expect("lock").clone();
    assert!(requests.contains("Range: bytes="), "{requests}");
    drop(cut_client);
    // The new system did not come up.
    let restarted = start("cut", &proxy.url, "-p 2 -c 3");
    wait_until(&restarted, "the failure after the restart", || {
        hawkbit.action("cut", cut).2 == "error"
    });

    // It was told not to install, calls that a success, and is not believed.
    wait_until(&skips_client, "the skipped update", || {
        hawkbit.reports("skips", skips).contains(&"downloaded".to_owned())
    });
    assert_eq!(hawkbit.rest("GET", "targets/skips/installedDS", None).status, 204);
    assert!(!out("skips").exists());
}
