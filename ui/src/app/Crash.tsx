import { type ErrorComponentProps, Link } from "@tanstack/react-router";
import { ApiError } from "@/api/client";
import { Button } from "@/ui/Button";
import { copyText } from "@/ui/Copy";
import { Empty, Failure } from "@/ui/State";

/** The last net under a page: says what broke and what to do, and keeps the rest of the shell alive. */
export function Crash({ error: thrown, reset }: ErrorComponentProps) {
  if (thrown instanceof ApiError) return <Failure error={thrown} retry={reset} />;
  const error = thrown instanceof Error ? thrown : new Error(String(thrown));
  const stale = /dynamically imported module|module script/i.test(error.message);
  return (
    <Empty
      title={stale ? "Twinlens was updated" : "This page stopped working"}
      actions={
        <>
          <Button look="primary" onClick={() => window.location.reload()}>
            Reload the page
          </Button>
          {stale ? null : (
            <Button onClick={() => void copyText(`${error.message}\n${error.stack ?? ""}`)}>Copy the details</Button>
          )}
        </>
      }
    >
      {stale ? "The server now has a newer version of this page." : error.message}
    </Empty>
  );
}

export function Missing() {
  return (
    <Empty title="There is no such page" actions={<Link to="/">Go to the overview</Link>}>
      The address may be incomplete.
    </Empty>
  );
}
