# The hub as an image: `docker build -t credit-hub .`; docker-compose.yml runs it.
FROM node:24-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY console/package.json console/
RUN npm ci
COPY . .
RUN npm run build && npm run build:console

FROM node:24-bookworm-slim AS runtime
ENV NODE_ENV=production HUB_HOST=0.0.0.0 HUB_PORT=4000
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY console/package.json console/
# Optional packages are the Node and the PostgreSQL of development; the image has the one and a deployment the other.
RUN npm ci --omit=dev --omit=optional && npm cache clean --force
COPY LICENSE ./
COPY schema schema
COPY --from=build /app/dist dist
COPY --from=build /app/console/dist console/dist
# Nothing is written below /app: the file system may be mounted read-only.
USER node
EXPOSE 4000
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 CMD ["node", "dist/main.js", "health"]
# A worker stays below 400 MB with this (npm run bench:ingest); V8 would otherwise grow because the machine has room.
ENTRYPOINT ["node", "--enable-source-maps", "--max-old-space-size=256", "dist/main.js"]
CMD ["serve"]
