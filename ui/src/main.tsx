import { MantineProvider } from "@mantine/core";
import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { queryClient } from "@/api/query-client";
import { router } from "@/app/router";
import { colorScheme, theme } from "@/app/theme";
import { readHash } from "@/base/links";
import { writeSearch } from "@/base/search";
import "@/styles/mantine.css";

/** MLflow's clients print `/#/experiments/1/runs/abc`; the page that finds the project takes it from there. */
function followHash(): boolean {
  const target = readHash(window.location.hash);
  if (!target) return false;
  window.history.replaceState(null, "", `/find${writeSearch({ ...target })}`);
  return true;
}

followHash();
window.addEventListener("hashchange", () => {
  if (followHash()) void router.load();
});

const root = document.getElementById("root");
if (!root) throw new Error("index.html has no #root");

createRoot(root).render(
  <StrictMode>
    <MantineProvider theme={theme} colorSchemeManager={colorScheme} defaultColorScheme="auto" withGlobalClasses={false}>
      <QueryClientProvider client={queryClient}>
        <RouterProvider router={router} />
      </QueryClientProvider>
    </MantineProvider>
  </StrictMode>,
);
