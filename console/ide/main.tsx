import 'graphiql/setup-workers/vite';
import 'graphiql/style.css';
import './ide.css';
import { createRoot } from 'react-dom/client';
import { Ide } from './ide.tsx';
import { fromLink, remember, remembered } from './purpose.ts';

const link = fromLink(location.hash);
const start = { ...remembered(), ...link.asking };
remember(start);
// The link is used once and taken out of the address bar: a query may hold a person's code, and addresses are kept and forwarded.
if (location.hash) history.replaceState(null, '', location.pathname + location.search);
window.addEventListener('hashchange', () => location.reload());

const root = document.getElementById('root');
if (root) createRoot(root).render(<Ide start={start} query={link.query} />);
