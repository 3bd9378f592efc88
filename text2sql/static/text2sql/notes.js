// Offers the tables of the chosen database, and the columns of the chosen table.
document.addEventListener("DOMContentLoaded", () => {
  const table = document.querySelector("input[data-names]");
  if (!table) return;
  const database = document.getElementById("id_database");
  const column = document.getElementById("id_column");
  const lists = [table, column].map((field) => {
    const list = document.createElement("datalist");
    list.id = field.getAttribute("list");
    field.after(list);
    return list;
  });

  async function offer(list, query) {
    const answer = await fetch(`${table.dataset.names}?${new URLSearchParams(query)}`);
    const names = answer.ok ? (await answer.json()).names : [];
    list.replaceChildren(...names.map((name) => new Option(name, name)));
  }
  const offerTables = () => database.value && offer(lists[0], { database: database.value });
  const offerColumns = () =>
    database.value && table.value && offer(lists[1], { database: database.value, table: table.value });

  database.addEventListener("change", offerTables);
  column.addEventListener("focus", offerColumns);
  offerTables();
});
