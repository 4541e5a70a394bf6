"""Updates from a repository in a folder with python-tuf's client; prints what it found as JSON.

usage: update.py REPOSITORY CLIENT TARGET...
CLIENT/root.json is the trusted root. Names of errors are printed in place of results.
"""

import json
import os
import sys
from urllib.parse import unquote, urlparse

from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import FetcherInterface, Updater


class Folder(FetcherInterface):
    """Serves files of a folder as a web server would."""

    def __init__(self, path):
        self.path = path

    def _fetch(self, url):
        path = os.path.join(self.path, unquote(urlparse(url).path).lstrip("/"))
        if not os.path.exists(path):
            raise DownloadHTTPError("absent", 404)
        with open(path, "rb") as file:
            yield file.read()


repository, client, *targets = sys.argv[1:]
downloads = os.path.join(client, "downloads")
os.makedirs(downloads, exist_ok=True)
with open(os.path.join(client, "root.json"), "rb") as file:
    trusted = file.read()
result = {}
try:
    updater = Updater(
        os.path.join(client, "metadata"),
        "http://peer/metadata/",
        target_dir=downloads,
        target_base_url="http://peer/targets/",
        fetcher=Folder(repository),
        bootstrap=trusted,
    )
    updater.refresh()
    for name in targets:
        info = updater.get_targetinfo(name)
        if info is None:
            result[name] = None
        else:
            with open(updater.download_target(info), "rb") as file:
                result[name] = file.read().decode()
except Exception as error:
    result["error"] = f"{type(error).__name__}: {error}"
print(json.dumps(result))
