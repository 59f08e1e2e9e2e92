// Shows new messages without a press of "Refresh", and copies the code. The page is complete without it.

const list = document.getElementById("messages");

async function look() {
  if (document.hidden) return;
  const answer = await fetch(location.href);
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.getElementById("messages");
  if (!fresh) return;
  if (fresh.dataset.newest === list.dataset.newest) {
    const times = fresh.querySelectorAll("time"); // "2 minutes ago"
    list.querySelectorAll("time").forEach((time, index) => (time.textContent = times[index]?.textContent ?? ""));
  } else if (document.body.classList.contains("ib-page--list")) {
    location.reload(); // the newest one is shown beside the list
  } else {
    list.dataset.newest = fresh.dataset.newest;
    list.replaceChildren(...fresh.childNodes);
  }
}

setInterval(() => look().catch(() => {}), 2000); // the site may be restarting: the next look finds it

for (const button of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) continue; // only where the page is secure: HTTPS, or this machine
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    button.textContent = button.dataset.done;
  });
}
