import { Link } from "react-router";
import { Empty } from "../ui/Empty";
import { Page } from "../ui/Page";

export function Lost() {
  return (
    <Page title="There is no such page">
      <Empty title="This address leads nowhere">
        It may be of another version. The <Link to="/">overview</Link> leads everywhere.
      </Empty>
    </Page>
  );
}
