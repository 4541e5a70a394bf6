// Updates from a repository in a folder with tuf-js; prints what it found as JSON.
//
// usage: update.js MODULES REPOSITORY CLIENT TARGET...
// CLIENT/root.json is the trusted root. Names of errors are printed in place of results.
'use strict';

const fs = require('node:fs');
const path = require('node:path');

const [modules, repository, client, ...targets] = process.argv.slice(2);
const { Updater, BaseFetcher } = require(path.join(modules, 'tuf-js'));
const { DownloadHTTPError } = require(path.join(modules, 'tuf-js/dist/error'));

// Serves files of a folder as a web server would.
class Folder extends BaseFetcher {
  async fetch(url) {
    const name = decodeURIComponent(new URL(url).pathname);
    const file = path.join(repository, name);
    if (!fs.existsSync(file)) {
      throw new DownloadHTTPError('absent', 404);
    }
    return new Response(fs.readFileSync(file)).body;
  }
}

async function main() {
  const metadata = path.join(client, 'metadata');
  const downloads = path.join(client, 'downloads');
  fs.mkdirSync(downloads, { recursive: true });
  if (!fs.existsSync(metadata)) {
    fs.mkdirSync(metadata);
    fs.copyFileSync(path.join(client, 'root.json'), path.join(metadata, 'root.json'));
  }
  const result = {};
  try {
    const updater = new Updater({
      metadataBaseUrl: 'http://peer/metadata',
      metadataDir: metadata,
      targetBaseUrl: 'http://peer/targets',
      targetDir: downloads,
      fetcher: new Folder(),
    });
    await updater.refresh();
    for (const name of targets) {
      const info = await updater.getTargetInfo(name);
      result[name] = info ? fs.readFileSync(await updater.downloadTarget(info), 'utf8') : null;
    }
  } catch (error) {
    result.error = `${error.constructor.name}: ${error.message}`;
  }
  console.log(JSON.stringify(result));
}

main();
