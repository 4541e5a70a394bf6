import { lazy, Suspense } from "react";
import { Route, Routes } from "react-router";
import { Devices } from "../pages/devices/Devices";
import { Overview } from "../pages/Overview";
import { Login } from "../session/Login";
import { SessionProvider, useSessionState } from "../session/SessionContext";
import { Loading } from "../ui/Empty";
import { Lost } from "./Lost";
import { Shell } from "./Shell";

const Device = lazy(() => import("../pages/device/Device"));
const Groups = lazy(() => import("../pages/Groups"));
const Rollouts = lazy(() => import("../pages/rollouts/Rollouts"));
const Rollout = lazy(() => import("../pages/rollout/Rollout"));
const NewRollout = lazy(() => import("../pages/new-rollout/NewRollout"));
const Releases = lazy(() => import("../pages/Releases"));
const Release = lazy(() => import("../pages/Release"));
const Events = lazy(() => import("../pages/Events"));
const Keys = lazy(() => import("../pages/Keys"));
const Alerts = lazy(() => import("../pages/alerts/Alerts"));
const Audit = lazy(() => import("../pages/audit/Audit"));
const Users = lazy(() => import("../pages/users/Users"));
const Account = lazy(() => import("../pages/account/Account"));
const Settings = lazy(() => import("../pages/Settings"));

export function App() {
  return (
    <SessionProvider>
      <Inside />
    </SessionProvider>
  );
}

/** Nobody sees a page before the server knows who looks. */
function Inside() {
  const { state } = useSessionState();
  if (state.is === "unknown") return <Loading />;
  if (state.is === "out") return <Login />;
  return (
    <Shell>
      <Suspense fallback={<Loading />}>
        <Routes>
          <Route index element={<Overview />} />
          <Route path="devices" element={<Devices />} />
          <Route path="devices/:id" element={<Device />} />
          <Route path="groups" element={<Groups />} />
          <Route path="rollouts" element={<Rollouts />} />
          <Route path="rollouts/:name" element={<Rollout />} />
          <Route path="new-rollout" element={<NewRollout />} />
          <Route path="releases" element={<Releases />} />
          <Route path="releases/:name" element={<Release />} />
          <Route path="alerts" element={<Alerts />} />
          <Route path="audit" element={<Audit />} />
          <Route path="events" element={<Events />} />
          <Route path="keys" element={<Keys />} />
          <Route path="users" element={<Users />} />
          <Route path="account" element={<Account />} />
          <Route path="settings" element={<Settings />} />
          <Route path="*" element={<Lost />} />
        </Routes>
      </Suspense>
    </Shell>
  );
}
