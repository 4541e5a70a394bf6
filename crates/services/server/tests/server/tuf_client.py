"""Follows the server's repository in TUF's form with python-tuf's client; prints JSON.

usage: tuf_client.py URL CA TOKEN CLIENT TARGET...
CLIENT/root.json is the trusted root.
"""

import json
import os
import ssl
import sys
import urllib.error
import urllib.request

from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import FetcherInterface, Updater


class Server(FetcherInterface):
    """Asks over TLS, and says who it is."""

    def _fetch(self, url):
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
        try:
            with urllib.request.urlopen(request, context=context) as answer:
                yield answer.read()
        except urllib.error.HTTPError as error:
            raise DownloadHTTPError(str(error), error.code) from error


url, ca, token, client, *targets = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
downloads = os.path.join(client, "downloads")
os.makedirs(downloads, exist_ok=True)
with open(os.path.join(client, "root.json"), "rb") as file:
    trusted = file.read()
updater = Updater(
    os.path.join(client, "metadata"),
    f"{url}/tuf/",
    target_dir=downloads,
    target_base_url=f"{url}/tuf/targets/",
    fetcher=Server(),
    bootstrap=trusted,
)
updater.refresh()
result = {}
for name in targets:
    info = updater.get_targetinfo(name)
    if info is None:
        result[name] = None
    elif info.length == 0:
        result[name] = info.hashes["sha256"]
    else:
        with open(updater.download_target(info), "rb") as file:
            result[name] = file.read().decode()
print(json.dumps(result))
