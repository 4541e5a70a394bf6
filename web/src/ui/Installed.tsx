import { Link } from "react-router";
import type { Schemas } from "../api/client";
import { releaseAt } from "./links";
import css from "./ui.module.css";

type Image = Pick<Schemas["InstalledImage"], "filepath" | "sha256" | "release" | "version">;

/** What a device or component runs. */
export function Installed({ image, bare }: { image?: Image | null; bare?: boolean }) {
  if (!image) return <span className={css.quiet}>nothing reported</span>;
  if (!image.release) {
    const name = image.filepath === "unknown" ? "no release" : image.filepath;
    return (
      <span className={css.quiet} title={image.sha256}>
        {name}
      </span>
    );
  }
  const name = bare ? image.release : <Link to={releaseAt(image.release)}>{image.release}</Link>;
  const version = image.version && image.version !== image.release ? image.version : undefined;
  return (
    <span title={image.sha256}>
      {name}
      {version && <span className={css.quiet}> · {version}</span>}
    </span>
  );
}
