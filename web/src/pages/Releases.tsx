import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "react-router";
import * as queries from "../api/queries";
import { useMay } from "../session/SessionContext";
import { Empty, Loading } from "../ui/Empty";
import { releaseAt } from "../ui/links";
import { Card, Page } from "../ui/Page";
import { Problem } from "../ui/Problem";
import { Scroll } from "../ui/Scroll";
import css from "../ui/ui.module.css";
import { When } from "../ui/When";

export default function Releases() {
  const { data, error, refetch } = useQuery(queries.releases);
  const may = useMay();
  return (
    <Page title="Releases" about="Signed targets that go out together">
      {error && !data && <Problem error={error} retry={refetch} />}
      {!data && !error && <Loading />}
      {data && (
        <Card>
          {data.items.length === 0 ? (
            <Empty
              title="No releases yet"
              command="updraft release create v1 --repo REPO --target HARDWARE=REF"
            >
              Releases are made where their signing keys are, which is not in a browser. The command
              uploads a commit, signs it as a target and registers the release.
            </Empty>
          ) : (
            <Scroll label="Releases">
              <table className={css.table}>
                <thead>
                  <tr>
                    <th scope="col">Release</th>
                    <th scope="col">For</th>
                    <th scope="col">Made</th>
                    {may("operate") && (
                      <th scope="col" className={css.end}>
                        Actions
                      </th>
                    )}
                  </tr>
                </thead>
                <tbody>
                  {data.items.map((release) => (
                    <tr key={release.name}>
                      <td className={css.name}>
                        <Link to={releaseAt(release.name)}>{release.name}</Link>
                        {release.notes && (
                          <div className={css.quiet}>{firstLine(release.notes)}</div>
                        )}
                      </td>
                      <td>
                        {[...new Set(release.targets.flatMap((t) => t.hardware_ids))].join(", ")}
                      </td>
                      <td>
                        <When at={release.created_at} />
                      </td>
                      {may("operate") && (
                        <td className={css.end}>
                          <Button
                            component={Link}
                            size="xs"
                            variant="default"
                            to={`/new-rollout?release=${encodeURIComponent(release.name)}`}
                            aria-label={`Roll out ${release.name}`}
                          >
                            Roll out
                          </Button>
                        </td>
                      )}
                    </tr>
                  ))}
                </tbody>
              </table>
            </Scroll>
          )}
        </Card>
      )}
    </Page>
  );
}

function firstLine(text: string): string {
  return text.split("\n", 1)[0] ?? "";
}
